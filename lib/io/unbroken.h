/*
 * unbroken.h - a step that must not end half way, though this process may be killed.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef IO_UNBROKEN_H
#define IO_UNBROKEN_H

/*
 * Runs step(arg) in a child process of its own session that no signal but a SIGKILL of its own ends, and waits for it;
 * meanwhile signals wait, too. Locks of flock(2) are held until both are gone. What step does to memory is lost.
 * 0 when step returned 0; else what it returned when that is 1 to 254, EIO when not; errno when there is no child.
 */
int	unbroken(int (*step)(void *arg), void *arg);

#endif
