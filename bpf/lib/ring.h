/* ring.h: which gateway a new session goes to, by a Maglev ring built in user space
 * (userspace/balancer/maglev.py). */
#ifndef UNILB_RING_H
#define UNILB_RING_H

#include "session.h"

/* Returns the number of this flow's target, or 0 when the ring is empty. The same flow gives the
 * same target on every L4 node that holds the same ring. */
static __always_inline u32 ring_target(const struct service *service, const struct flow *flow)
{
	u32 slot = service->ring * RING_SIZE + flow_hash(flow) % RING_SIZE;
	u32 *index = rings.lookup(&slot);

	return index ? *index : 0;
}

#endif
