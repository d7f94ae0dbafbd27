/*
 * list.h - braces in lists of tables: those of main.cf.
 *
 * SPDX-License-Identifier: ISC
 */
#ifndef MAP_LIST_H
#define MAP_LIST_H

#include "conf/list.h"

#endif
