/* xdp_gateway.c: a gateway's way out of the VPCs on XDP. The way in starts at a local socket, where
 * XDP has no hook: that is tc_gateway.c's for both. */
#define UNILB_XDP
#define ROUTE_AS_OURS
#include "vpc.h"

int vxlan_xdp(struct xdp_md *xdp)
{
	struct scratch *room = begin();

	return room ? finish(xdp, room, from_vpc(xdp, &room->outer, &room->inner)) : VERDICT_DROP;
}
