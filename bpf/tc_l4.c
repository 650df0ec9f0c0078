/* tc_l4.c: the L4 tier on TC ingress. */
#include "l4.h"

int l4_ingress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, l4(skb, room)) : VERDICT_DROP;
}
