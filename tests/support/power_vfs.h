/* A model of what is on the disk when power fails, over the fault VFS.
 *
 * For each file it keeps what was synced and what was written since. When power fails, each
 * 512-byte sector that was written and not synced is kept, dropped or torn; a file's new size
 * may or may not have arrived; a file that was created or deleted may be as it was, unless its
 * folder was synced (which SQLite does with the first sync of a new WAL or journal). A sync that
 * is made to fail forgets what it should have written, as the kernel does: it stays readable and
 * is not written any more, unless it is written anew. Writes within a sector leave its other
 * bytes alone ("powersafe overwrite", which SQLite assumes too). */
#ifndef TESTS_POWER_VFS_H
#define TESTS_POWER_VFS_H

#include <stdint.h>

/* From now on, in this process: files of `folder` are watched. Power fails at the `events`-th
 * write, truncation, sync, creation or deletion; then what survived is put into the folder
 * `survivors` and the process exits with POWER_EXIT. One sync of `failing_syncs` fails (0 =
 * none). */
void power_vfs_start(const char *folder, const char *survivors, uint64_t seed, long events,
                     long failing_syncs);
void power_vfs_cut(void); /* now */

#define POWER_EXIT 77

#endif
