/*
 * hash.h - map from bytes to a pointer, on the heap. Keys are copied; values belong to the caller.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct hash;

struct hash *hash_new(void);
/* free_value may be NULL. */
void	hash_free(struct hash **, void (*free_value)(void *));
void	hash_clear(struct hash *);		/* forget everything; memory is kept for as much again */
size_t	hash_count(const struct hash *);
void	*hash_get(const struct hash *, struct span key);		/* NULL when absent */
void	*hash_put(struct hash *, struct span key, void *value);		/* returns the value it replaced, or NULL */
void	*hash_remove(struct hash *, struct span key);			/* returns the value, or NULL */

/* Walk in insertion order: start with *pos = 0. The hash may not change meanwhile, but for hash_remove of
 * the key just returned. */
bool	hash_next(const struct hash *, size_t *pos, struct span *key, void **value);

#endif
