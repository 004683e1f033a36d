#include "embedded.h"

#include "base/embed.h"

EMBED(admin_page, "worker/admin/status.html");
