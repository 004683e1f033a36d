# byunique: make, make demo, make test. `make help` lists the rest.

PREFIX     ?= /usr/local
DESTDIR    ?=
BUILD      ?= build
CC         ?= cc
VERSION    := 0.1.0
DATADIR    := $(PREFIX)/share/byunique

# SANITIZE=1 builds everything, tests included, under ASan and UBSan into its own folder, with failpoints;
# SANITIZE=thread under TSan.
SANITIZE   ?=
# FAILPOINTS=1 builds a program that crashes, waits or fails where a test tells it to (include/byunique/failpoint.h).
FAILPOINTS ?=
ifeq ($(SANITIZE),thread)
override BUILD := $(BUILD)/sanitize-thread
CPPFLAGS   += -DBYUNIQUE_FAILPOINTS
SAN_FLAGS  := -fsanitize=thread -fno-omit-frame-pointer
OPTIMIZE   ?= -O1
else ifneq ($(SANITIZE),)
override BUILD := $(BUILD)/sanitize
CPPFLAGS   += -DBYUNIQUE_FAILPOINTS
SAN_FLAGS  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPTIMIZE   ?= -O1
else ifneq ($(FAILPOINTS),)
override BUILD := $(BUILD)/failpoints
CPPFLAGS   += -DBYUNIQUE_FAILPOINTS
OPTIMIZE   ?= -O1
else
OPTIMIZE   ?= -O2 -D_FORTIFY_SOURCE=2
endif

LIBRARIES  := rdkafka avro-c libpq jansson nettle libcurl libmicrohttpd zlib liblz4
WARNINGS   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla \
              -Wformat=2 -Wundef
HARDENING  := -fstack-protector-strong -fPIE -fno-strict-aliasing
WERROR     ?= -Werror

CPPFLAGS   += -Iinclude -Iworker -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DSCHEMAS_DIR='"$(DATADIR)/schemas"'
CFLAGS     += -std=gnu11 -g $(OPTIMIZE) $(WARNINGS) $(WERROR) $(HARDENING) $(SAN_FLAGS) -pthread \
              $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
LDFLAGS    += -pie -Wl,-z,relro,-z,now $(SAN_FLAGS) -pthread
LDLIBS     += $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)
# In front of the C library's, where it is at hand (worker/base/allocator.c). Sanitizers bring one of their own.
ALLOCATOR  ?= $(if $(SANITIZE),,$(shell pkg-config --libs jemalloc 2>/dev/null))

# The path of a batch, in its order; stages.h and pipeline.c list the same.
STAGES     := fetch decode validate recall plan apply answer commit
SHORT_CUT  := ahead
SOURCES    := $(STAGES:%=worker/stages/%.c) $(SHORT_CUT:%=worker/stages/%.c) worker/run.c worker/pipeline.c worker/rebalance.c \
              worker/assignment.c worker/fetching.c worker/lane.c worker/storing.c worker/flights.c worker/publishing.c worker/vouch.c worker/watchdog.c \
              worker/observe.c worker/reload.c worker/feeding.c \
              $(sort $(wildcard worker/base/*.c worker/model/*.c worker/avro/*.c worker/registry/*.c worker/pg/*.c \
                                worker/kafka/*.c worker/sql/*.c worker/admin/*.c worker/cli/*.c))
OBJECTS    := $(SOURCES:%.c=$(BUILD)/%.o)
OBJECTS    += $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/lib/tsan_threads.o)
MAIN       := $(BUILD)/worker/main.o
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
VENV       := build/venv
KAFKA      := build/kafka/.done
EXAMPLES   := build/examples/java/.done build/examples/go/.done

# V=1 shows the commands in full.
Q          := $(if $(V),,@)

.PHONY: all help deps demo test test-unit test-it torture bench fuzz lint format install uninstall clean
all: $(BUILD)/byunique

help:
	@sed -n 's/^#: //p' Makefile

#: make              build build/byunique (V=1 shows the commands)
$(BUILD)/byunique: $(MAIN) $(OBJECTS)
	$(if $(V),,@echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) $(ALLOCATOR)

$(BUILD)/%.o: %.c | deps-build
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC      $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# The installed folder is compiled in: `make && make install PREFIX=/usr` must not install a program that looks elsewhere.
$(BUILD)/worker/base/config.o: $(BUILD)/worker/datadir
$(BUILD)/worker/datadir: force
	@mkdir -p $(@D)
	@echo '$(DATADIR)' | cmp -s - $@ || echo '$(DATADIR)' > $@
.PHONY: force

# What .incbin embeds, the compiler's dependency files do not see.
$(BUILD)/worker/avro/embedded.o: $(wildcard schemas/*.avsc)
$(BUILD)/worker/admin/embedded.o: worker/admin/status.html
$(BUILD)/worker/sql/embedded.o: $(wildcard worker/sql/*.sql schemas/migrations/*.sql schemas/examples/*)

#: make deps         install what is missing (Debian, Ubuntu); called by the others
.PHONY: deps-build
deps: ; @deploy/deps all
deps-build: ; @deploy/deps build

#: make demo         the documented example, on throw-away services that it starts itself
demo:
	@deploy/deps demo
	@$(MAKE) --no-print-directory all
	@$(BUILD)/byunique demo

#: make test         all tests; starts its own PostgreSQL and Kafka
test:
	@deploy/deps all
	@$(MAKE) --no-print-directory test-unit test-it

#: make test-unit    the tests that need no server (SANITIZE=1, for any target: under ASan and UBSan)
test-unit: $(UNIT_TESTS)
	@tests/unit/run $(UNIT_TESTS)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

#: make test-it      the tests against real servers (TESTS=… picks some, as pytest takes it; JOBS=… so many files at once;
#:                   JITTER=… milliseconds that a worker is late at most, at each failpoint)
# Tests mostly wait, for a session to time out or a server to start: more of them run at once than there are processors.
# In the order of their names: the files with few tests, which would come last otherwise, take longest.
JOBS ?= $(if $(TESTS),0,6)
test-it: $(BUILD)/byunique $(VENV)/.done $(KAFKA) $(EXAMPLES)
	$(if $(SANITIZE),,@$(MAKE) --no-print-directory FAILPOINTS=1 $(BUILD)/failpoints/byunique)
	$(if $(filter thread,$(SANITIZE)),TSAN_OPTIONS=suppressions=$(abspath tests/tsan.supp)) $(if $(JITTER),BYUNIQUE_TEST_JITTER_MS=$(JITTER)) BYUNIQUE_BIN=$(abspath $(BUILD)/$(if $(JITTER),failpoints/)byunique) BYUNIQUE_FAILPOINTS_BIN=$(abspath $(BUILD)/$(if $(SANITIZE),,failpoints/)byunique) $(VENV)/bin/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 2 $(or $(TESTS),tests/lib tests/deploy tests/it)

$(VENV)/.done: tests/requirements.txt
	@deploy/deps all
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --no-compile --disable-pip-version-check -r $<
	@touch $@

$(KAFKA): tests/lib/kafka/pom.xml
	@deploy/deps all
	tests/lib/kafka/fetch build/kafka
	@touch $@

build/examples/java/.done: $(shell find docs/examples/java -type f)
build/examples/go/.done: $(wildcard docs/examples/go/*)
$(EXAMPLES): build/examples/%/.done: tests/lib/build-examples schemas/UpdateByUnique.avsc schemas/UpdateResult.avsc
	@deploy/deps all
	tests/lib/build-examples $* $(@D)
	@touch $@

#: make torture      nemesis runs for SECONDS=900, each with a seed of its own and ROUND=180 s of faults (SEED=…: the first)
torture: SECONDS ?= 900
torture: ROUND   ?= 180
torture: $(BUILD)/byunique $(VENV)/.done $(KAFKA)
	@BYUNIQUE_BIN=$(abspath $(BUILD)/byunique) tests/torture $(VENV)/bin/python $(SECONDS) $(ROUND) $(SEED)

#: make bench        stages, rate beside the same updates from memory, a relay and a Python worker, latency: all in one run
bench: $(BUILD)/byunique $(BUILD)/bench/raw_update $(BUILD)/bench/raw_relay $(BUILD)/bench/bench_stages $(VENV)/.done $(KAFKA)
	BYUNIQUE_BIN=$(abspath $(BUILD)/byunique) $(VENV)/bin/python tests/bench/bench.py $(BENCH)

#: make bench-curves how cost grows: batches, attributes, extensions, hot records, partitions, workers (BENCH=… picks)
.PHONY: bench-curves
bench-curves: $(BUILD)/byunique $(VENV)/.done $(KAFKA)
	BYUNIQUE_BIN=$(abspath $(BUILD)/byunique) $(VENV)/bin/python tests/bench/curves.py $(BENCH)

#: make bench-latency of that, how long one command takes on an idle worker, and on one at half of its rate
.PHONY: bench-latency
bench-latency: $(BUILD)/byunique $(VENV)/.done $(KAFKA)
	BYUNIQUE_BIN=$(abspath $(BUILD)/byunique) $(VENV)/bin/python tests/bench/latency.py $(BENCH)

#: make bench-refused what ten commands in two thousand that the database refuses cost the others
.PHONY: bench-refused
bench-refused: $(BUILD)/byunique $(VENV)/.done $(KAFKA)
	BYUNIQUE_BIN=$(abspath $(BUILD)/byunique) $(VENV)/bin/python tests/bench/refused.py $(BENCH)

#: make bench-stages of that, what each stage that talks to nobody costs for one command, in time and in allocations
.PHONY: bench-stages
bench-stages: $(BUILD)/bench/bench_stages
	$(BUILD)/bench/bench_stages $(BENCH)

$(BUILD)/bench/raw_update: $(BUILD)/tests/bench/raw_batch.o
$(BUILD)/bench/raw_relay: LDLIBS += $(ALLOCATOR)
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(if $(V),,@echo "  LD      $@")
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

#: make fuzz         a minute of libFuzzer for each target (needs clang)
FUZZ_SECONDS ?= 60
fuzz:
	@printf '%s\n' $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))) | \
		xargs -P "$$(nproc)" -I TARGET tests/fuzz/run TARGET $(FUZZ_SECONDS)

#: make lint         cppcheck, shellcheck and the rules of the house
lint:
	tests/lint

#: make format       clang-format over all of the code
format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# The pages say what the program says.
$(BUILD)/byunique.%: $(BUILD)/byunique deploy/man
	@deploy/man $< $(if $(filter 1,$*),1,5) > $@.new && mv $@.new $@

#: make install      program, manual pages, schemas, completion, sample configuration, systemd units (PREFIX, DESTDIR)
SHARE      := $(DESTDIR)$(PREFIX)/share
UNITS      := $(DESTDIR)$(PREFIX)/lib/systemd/system
COMPLETION := bash-completion/completions/byunique zsh/site-functions/_byunique fish/vendor_completions.d/byunique.fish
install: all $(BUILD)/byunique.1 $(BUILD)/byunique.conf.5
	install -D -m 755 $(BUILD)/byunique $(DESTDIR)$(PREFIX)/bin/byunique
	install -d $(DESTDIR)$(DATADIR)/schemas $(DESTDIR)$(DATADIR)/examples
	install -m 644 schemas/*.avsc $(DESTDIR)$(DATADIR)/schemas/
	install -m 644 schemas/examples/* $(DESTDIR)$(DATADIR)/examples/
	install -D -m 644 deploy/byunique.conf $(DESTDIR)$(DATADIR)/byunique.conf
	install -D -m 644 $(BUILD)/byunique.1 $(SHARE)/man/man1/byunique.1
	install -D -m 644 $(BUILD)/byunique.conf.5 $(SHARE)/man/man5/byunique.conf.5
	install -D -m 644 deploy/completion/byunique.bash $(SHARE)/bash-completion/completions/byunique
	install -D -m 644 deploy/completion/_byunique $(SHARE)/zsh/site-functions/_byunique
	install -D -m 644 deploy/completion/byunique.fish $(SHARE)/fish/vendor_completions.d/byunique.fish
	install -d $(UNITS)
	sed 's,@PREFIX@,$(PREFIX),g' deploy/byunique.service > $(UNITS)/byunique.service
	sed 's,@PREFIX@,$(PREFIX),g; s,^\(Description=byunique\):,\1 %i:,' deploy/byunique.service > $(UNITS)/byunique@.service

#: make uninstall    the reverse of install
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/byunique $(UNITS)/byunique.service $(UNITS)/byunique@.service
	rm -f $(SHARE)/man/man1/byunique.1 $(SHARE)/man/man5/byunique.conf.5 $(addprefix $(SHARE)/,$(COMPLETION))
	rm -rf $(DESTDIR)$(DATADIR)

#: make deb          a Debian package in build/deb, of this Debian or Ubuntu (needs debhelper; REUSE=1: from objects that are there)
# debian/ has to stand at the top of the sources: a copy is made where it does.
DEB_TREE := $(BUILD)/deb/byunique-$(VERSION)
.PHONY: deb
deb: deps-build
	rm -rf $(BUILD)/deb
	mkdir -p $(DEB_TREE)/build
	cp -a Makefile README.md deploy docs include schemas worker $(DEB_TREE)/
	mv $(DEB_TREE)/deploy/debian $(DEB_TREE)/debian
	$(if $(REUSE),cp -a $(BUILD)/worker $(DEB_TREE)/build/)
	cd $(DEB_TREE) && env -u MAKEFLAGS dpkg-buildpackage --build=binary --no-sign --no-pre-clean -j$$(nproc)
	rm -rf $(DEB_TREE)
	@ls $(BUILD)/deb/*.deb

#: make clean        remove what was built; build/venv and build/kafka stay
#: make distclean    remove these too
clean:
	rm -rf build/examples $(BUILD)/worker $(BUILD)/tests $(BUILD)/unit $(BUILD)/bench $(BUILD)/byunique $(BUILD)/sanitize \
	       $(BUILD)/sanitize-thread $(BUILD)/failpoints $(BUILD)/fuzz $(BUILD)/deb $(BUILD)/byunique.1 \
	       $(BUILD)/byunique.conf.5
.PHONY: distclean
distclean:
	rm -rf build

.SECONDARY:
-include $(OBJECTS:.o=.d) $(MAIN:.o=.d) $(wildcard $(BUILD)/tests/*/*.d)
