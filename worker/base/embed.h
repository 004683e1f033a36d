/* Files in the binary: the assembler takes them in as they are, so there is one copy of each and no generated C. Paths are
 * relative to the root of the repository, where the compiler is started; the Makefile names them as prerequisites. */
#ifndef BYUNIQUE_BASE_EMBED_H
#define BYUNIQUE_BASE_EMBED_H

/* The file's bytes at `symbol`, followed by a NUL, which is at `symbol`_end. Both are to be declared as const char []. */
#define EMBED(symbol, path)                                                                                            \
	__asm__(".pushsection .rodata\n"                                                                               \
		".globl " #symbol "\n"                                                                                 \
		".hidden " #symbol "\n"                                                                                \
		".type " #symbol ", @object\n" #symbol ":\n"                                                           \
		".incbin \"" path "\"\n"                                                                               \
		".globl " #symbol "_end\n"                                                                             \
		".hidden " #symbol "_end\n" #symbol "_end:\n"                                                          \
		".byte 0\n"                                                                                            \
		".size " #symbol ", . - " #symbol "\n"                                                                 \
		".popsection\n")

#endif
