/* xdp_l4.c: the L4 tier on XDP. */
#define UNILB_XDP
#include "l4.h"

int l4_xdp(struct xdp_md *xdp)
{
	struct scratch *room = begin();

	return room ? finish(xdp, room, l4(xdp, room)) : VERDICT_DROP;
}
