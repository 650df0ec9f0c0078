/* tc_dsr.c: what a gateway sends to clients of DSR VIPs, on TC egress of the underlay device.
 *
 * The client's segments come through a tunnel, its answers do not: a SYN-ACK must not offer longer
 * ones than the tunnel takes. */
#include "gue.h"
#include "mss.h"

static __always_inline int dsr_answer(struct __sk_buff *skb, struct packet *pkt)
{
	struct machine *self;
	u32 *role, zero = 0;

	pull(skb, PARSE_LEN);
	if (parse_frame(skb, 0, pkt) != PARSED_OK || !pkt->syn || !pkt->ack)
		return TC_ACT_OK;
	self = machine.lookup(&zero);
	role = owned.lookup(&pkt->flow.saddr);
	if (!self || !role || *role != OWNED_DSR)
		return TC_ACT_OK;
	return mss_clamp(skb, pkt,
			 self->mtu - GUE_LEN - TCP_MIN_LEN - (pkt->v6 ? IPV6_LEN : IPV4_LEN))
		   ? -DROP_INTERNAL
		   : TC_ACT_OK;
}

int dsr_egress(struct __sk_buff *skb)
{
	struct scratch *room = begin();

	return room ? finish(skb, room, dsr_answer(skb, &room->outer)) : TC_ACT_SHOT;
}
