/* clock.h: the coarse clock, asked once a tick. */
#ifndef UNILB_CLOCK_H
#define UNILB_CLOCK_H

#include "maps.h"

/* Returns bpf_ktime_get_coarse_ns(). It moves with the tick alone, and the kernel's count of ticks
 * costs no call: a helper less for every packet but a tick's first. */
static __always_inline u64 coarse_ns(void)
{
	struct scratch *room;
	u32 zero = 0;
	u64 tick;

	room = scratch.lookup(&zero);
	if (!room)
		return bpf_ktime_get_coarse_ns();
	tick = bpf_jiffies64();
	if (room->tick != tick) {
		room->tick = tick;
		room->tick_ns = bpf_ktime_get_coarse_ns();
	}
	return room->tick_ns;
}

#endif
