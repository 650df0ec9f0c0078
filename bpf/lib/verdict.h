/* verdict.h: how a program ends. Every drop has a name and a counter; every other notable thing has
 * a counter. */
#ifndef UNILB_VERDICT_H
#define UNILB_VERDICT_H

#include <uapi/linux/pkt_cls.h>
#include "maps.h"

static __always_inline void count(enum event event)
{
	u32 index = event;
	u64 *n = events.lookup(&index);

	if (n)
		*n += 1;
}

/* Returns TC_ACT_SHOT. */
static __always_inline int drop(enum drop_reason reason)
{
	u32 index = reason;
	u64 *n = drops.lookup(&index);

	if (n)
		*n += 1;
	return TC_ACT_SHOT;
}

#endif
