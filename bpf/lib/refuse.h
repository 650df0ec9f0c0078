/* refuse.h: what an L4 node tells who sends it packets that do not fit. */
#ifndef UNILB_REFUSE_H
#define UNILB_REFUSE_H

#include "forward.h"
#include "icmp.h"

#define SUM_BEGINS 56 /* more than any transport header's place in the frame */

/* True when the transport checksum holds the pseudo-header's sum alone: a virtual device left the
 * rest to the hardware, which would write it into whatever the packet has become. */
static __always_inline int is_unsummed(ctx_t *ctx, const struct packet *pkt)
{
	u32 length = bpf_htons(pkt->ip_len - (pkt->l4 - pkt->l3));
	__be16 csum = 0;
	u64 pseudo;

	pseudo = bpf_csum_diff(0, 0, (__be32 *)&pkt->flow.saddr, 32,
			       length + bpf_htons(pkt->flow.proto));
	if (pkt->flow.proto != IPPROTO_TCP && pkt->flow.proto != IPPROTO_UDP)
		return 0;
	return !ctx_load(ctx, l4_csum_offset(pkt), &csum, 2) &&
	       csum == (u16)~csum_add_u16(0xffff, (u32)pseudo);
}

#ifdef UNILB_XDP
static __always_inline int close_sum(ctx_t *ctx, const struct packet *pkt)
{
	return -EINVAL; /* nobody completes what XDP sends */
}
#else
/* Takes back that the checksum was left open: the kernel does so when what begins the sum is cut
 * off the front (skb_postpull_rcsum()). The error, whose own is complete, is written again behind
 * it. Returns 0 or a negative errno. */
static __always_inline int close_sum(ctx_t *ctx, const struct packet *pkt)
{
	u32 len = pkt->v6 ? sizeof(struct too_big_v6) : sizeof(struct too_big_v4);

	return ctx_resize(ctx, pkt->l3 + len + SUM_BEGINS)
		   ?: bpf_skb_adjust_room(ctx, -SUM_BEGINS, BPF_ADJ_ROOM_MAC,
					  BPF_F_ADJ_ROOM_FIXED_GSO)
		   ?: icmp_store_again(ctx, pkt);
}
#endif

/* Tells the sender that its packet is longer than `mtu`. Returns a verdict or a negative drop
 * reason. */
static __always_inline int refuse_too_big(ctx_t *ctx, const struct packet *pkt, u32 mtu)
{
	struct route *route = 0;
	int open = is_unsummed(ctx, pkt);

	if ((CTX_HAS_GSO(ctx) && !open) || !icmp_allowed() ||
	    route_find(ctx, 0, &pkt->flow, &route) || icmp_too_big(ctx, pkt, mtu))
		return -DROP_TOO_BIG;
	if (open && close_sum(ctx, pkt))
		return -DROP_TOO_BIG;
	return route_send(ctx, route);
}

#endif
