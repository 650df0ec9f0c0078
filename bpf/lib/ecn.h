/* ecn.h: explicit congestion notification across the tunnel (RFC 6040). */
#ifndef UNILB_ECN_H
#define UNILB_ECN_H

#include "rewrite.h"

#define ECN_MASK 3
#define ECN_NOT	 0
#define ECN_CE	 3
#define IPV4_TOS 1

/* Returns the outer TOS byte: the inner one's ECN field, in RFC 6040 normal mode, and none of its
 * DSCP. */
static __always_inline u8 ecn_encap(u8 inner_tos)
{
	return inner_tos & ECN_MASK;
}

/* True when RFC 6040 section 4.2 asks for the packet to be dropped: congestion was marked where it
 * cannot be told. */
static __always_inline int ecn_lost(u8 outer_tos, u8 inner_tos)
{
	return (outer_tos & ECN_MASK) == ECN_CE && (inner_tos & ECN_MASK) == ECN_NOT;
}

/* Carries an outer congestion mark into the inner header. Returns 0 or a negative errno. */
static __always_inline int ecn_decap(ctx_t *ctx, const struct packet *pkt, u8 outer_tos)
{
	u8 tos = pkt->tos | ECN_CE;
	__be16 first;

	if ((outer_tos & ECN_MASK) != ECN_CE || tos == pkt->tos)
		return 0;
	if (pkt->v6) { /* the traffic class lies across the first two bytes */
		if (ctx_load(ctx, pkt->l3, &first, 2))
			return -EFAULT;
		first |= bpf_htons(ECN_CE << 4);
		return ctx_store_unbalanced(ctx, pkt->l3, &first, 2);
	}
	return ctx_csum_l3(ctx, pkt->l3 + IPV4_CSUM, bpf_htons(pkt->tos), bpf_htons(tos), 2)
		   ?: ctx_store(ctx, pkt->l3 + IPV4_TOS, &tos, 1);
}

#endif
