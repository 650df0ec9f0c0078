/* mss.h: lower the maximum segment size that a SYN or SYN-ACK offers (RFC 9293 section 3.7.1). */
#ifndef UNILB_MSS_H
#define UNILB_MSS_H

#include "rewrite.h"

#define TCPOPT_END 0
#define TCPOPT_NOP 1
#define TCPOPT_MSS 2
#define MSS_WALK   12 /* options looked at; every stack puts MSS among the first */

/* Lowers the offer to `limit` bytes when it is higher. A SYN without the option stays as it is: its
 * sender means 536. Returns 0 or a negative errno. */
static __always_inline int mss_clamp(ctx_t *ctx, const struct packet *pkt, u16 limit)
{
	u32 at = pkt->l4 + TCP_MIN_LEN;
	u32 end = pkt->l4 + pkt->tcp_doff * 4;

	for (int i = 0; i < MSS_WALK; i++) {
		u8 option[4] = {};
		__be16 old, new = bpf_htons(limit);

		if (at + 4 > end || ctx_load(ctx, at, option, 4))
			return 0;
		if (option[0] == TCPOPT_END)
			return 0;
		if (option[0] == TCPOPT_NOP) {
			at += 1;
			continue;
		}
		if (option[0] != TCPOPT_MSS) {
			if (option[1] < 2)
				return 0;
			at += option[1];
			continue;
		}
		__builtin_memcpy(&old, &option[2], 2);
		if (bpf_ntohs(old) <= limit)
			return 0;
		/* At an odd offset the value's bytes straddle two checksum words: swap both (RFC
		 * 1624). */
		if (at & 1)
			return ctx_csum_l4(ctx, pkt->l4 + TCP_CSUM,
					   bpf_htons(bpf_ntohs(old) << 8 | bpf_ntohs(old) >> 8),
					   bpf_htons((u16)(limit << 8 | limit >> 8)), 2)
				   ?: ctx_store(ctx, at + 2, &new, 2);
		return ctx_csum_l4(ctx, pkt->l4 + TCP_CSUM, old, new, 2)
			   ?: ctx_store(ctx, at + 2, &new, 2);
	}
	return 0;
}

#endif
