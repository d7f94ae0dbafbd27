/*
 * postsuper.h - private to postsuper(1).
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef POSTSUPER_POSTSUPER_H
#define POSTSUPER_POSTSUPER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/span.h"
#include "mail/queue.h"
#include "mail/selection.h"

/* Queues that were asked for, in the order in which they are worked on. */
struct queues {
	const char *name[16];
	size_t n;
};

bool	queues_have(const struct queues *, const char *name);

extern struct selection selection;		/* messages that are meant, of those that were named */
extern bool dry_run;				/* only tell */
extern volatile sig_atomic_t interrupted;	/* signal number: finish the current file, then end */

/* --- action.c: what is done to messages --- */
bool	action_known(int letter);			/* one of d e f h H r */
void	action_use(int letter);				/* it will stand in the summary, even with 0 */
void	action_on_id(int letter, const char *id, const struct queues *);
void	action_on_all(int letter, const struct queues *);
void	action_summary(void);

/* --- structure.c: the right names in the right places --- */
enum {
	STRUCTURE_FIX = 1,		/* -s */
	STRUCTURE_FIX_LONG = 2,		/* -S: long queue IDs too must be made for the file's inode */
	STRUCTURE_PURGE = 4,		/* -p */
};
/* Every regular file of a queue, whatever directory of it it is in. What is neither file nor directory is removed, and so
 * are directories that are not the queue's own. with_stat false: fn may be given NULL for what it is told. */
typedef void (*structure_file_fn)(const char *path, const char *name, const struct stat *);
void	structure_walk(const char *queue, structure_file_fn, bool with_stat);

/* Number of messages that have a new name. */
unsigned long structure_check(const struct queues *, unsigned flags);

/* --- logs.c --- */
void	logs_remove(const char *id);		/* of a message that is about to be deleted */
void	logs_finish(void);			/* after the last one, in any case */

/* --- record.c: the JSON log --- */
void	record_open(void);			/* while the file may be opened */
void	record_close(void);
void	record_prepare(const char *result, const char *queue, const char *id, const char *path);	/* before it is done */
void	record_write(void);			/* after it was done */

/* --- name.c --- */
/* The name that a file with that inode number must have; keeps the time part of the old one. False: it has it already. */
bool	name_for_inode(char out[QUEUE_ID_MAX], struct span id, ino_t inode, bool check_long, bool want_long);
/* Name without the mark of an unfinished rename. False: it bears none. */
bool	name_unfinished(struct span name, struct span *id);
#define NAME_UNFINISHED	"#FIX"

#endif
