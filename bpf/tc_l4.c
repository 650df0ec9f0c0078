/* tc_l4.c: the L4 tier on TC ingress, and on TC egress of the device that probes are routed to. */
#include "probe.h"

int l4_ingress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, l4(skb, room)) : VERDICT_DROP;
}

int probe_egress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, probe(skb, &room->outer)) : TC_ACT_SHOT;
}
