/* The status page, status.html beside this file. */
#ifndef BYUNIQUE_ADMIN_EMBEDDED_H
#define BYUNIQUE_ADMIN_EMBEDDED_H

extern const char admin_page[]; /* @NONCE@ stands where its own style and script are allowed */

#endif
