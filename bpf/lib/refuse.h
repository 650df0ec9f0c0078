/* refuse.h: what an L4 node tells who sends it packets that do not fit. */
#ifndef UNILB_REFUSE_H
#define UNILB_REFUSE_H

#include "forward.h"
#include "icmp.h"

/* True when the transport checksum holds the pseudo-header's sum alone: a virtual device left the
 * rest to the hardware, which would write it into whatever the packet has become. */
static __always_inline int is_unsummed(ctx_t *ctx, const struct packet *pkt)
{
	u32 length = bpf_htons(pkt->ip_len - (pkt->l4 - pkt->l3));
	__be16 csum = 0;
	u64 pseudo;

	pseudo = bpf_csum_diff(0, 0, (__be32 *)&pkt->flow.saddr, 32,
			       length + bpf_htons(pkt->flow.proto));
	return ctx_load(ctx, l4_csum_offset(pkt), &csum, 2) ||
	       csum == (u16)~csum_add_u16(0xffff, (u32)pseudo);
}

/* Tells the sender that its packet is longer than `mtu`. Returns a verdict or a negative drop
 * reason. */
static __always_inline int refuse_too_big(ctx_t *ctx, const struct packet *pkt, u32 mtu)
{
	struct route route = {};
	struct flow back = reversed(&pkt->flow);

	if (CTX_HAS_GSO(ctx) || is_unsummed(ctx, pkt) || !icmp_allowed() ||
	    route_find(ctx, 0, &back, &route) || icmp_too_big(ctx, pkt, mtu))
		return -DROP_TOO_BIG;
	return route_send(ctx, &route);
}

#endif
