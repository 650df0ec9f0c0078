/* toa.h: the client's address as a TCP option.
 *
 * kind(1) len(1) port(2, network order) address(4 or 16): LVS's and DPVS's layout, port first. The
 * L4 tier writes it on every segment of the client until the target's socket has answered, so that
 * loss of one segment loses nothing. */
#ifndef UNILB_TOA_H
#define UNILB_TOA_H

#include "rewrite.h"
#include "verdict.h"

#define TOA_LEN	      8
#define TOA6_LEN      20
#define TCP_MAX_DOFF  15
#define TCP_DOFF      12
#define IPV4_TOT_LEN  2
#define IPV6_PAYLOAD  4
#define TOA_MOVE      64 /* bytes moved per step: half of what the 512 byte stack could spare */
#define TOA_MAX_MOVES 24 /* 24 * 64 = 1536: a full segment of a 1500 byte MTU */

struct toa_option {
	u8 kind;
	u8 len;
	__be16 port;
	__be32 addr[4]; /* the first alone for IPv4 */
};

static __always_inline u32 toa_len(u8 v6)
{
	return v6 ? TOA6_LEN : TOA_LEN;
}

/* Returns the MSS to offer on the way that takes packets of `mtu` bytes, so that the option fits
 * into a full segment. */
static __always_inline u32 toa_mss(u32 mtu, u8 v6)
{
	return mtu - (v6 ? IPV6_LEN : IPV4_LEN) - TCP_MIN_LEN - toa_len(v6);
}

#ifdef UNILB_XDP
/* Makes room for `len` bytes behind the fixed TCP header, by moving all before it down. Drivers
 * leave 256 bytes in front of a frame, and as little as none behind it (veth does by the frame's
 * length). Returns 0 or a negative errno. */
static __always_inline int toa_make_room(ctx_t *ctx, const struct packet *pkt, u32 len)
{
	u8 bytes[ETH_LEN + IPV4_LEN + TCP_MIN_LEN];
	u32 at = sizeof(bytes), end = pkt->l3 + pkt->ip_len;
	int err = 0;

	if (ctx_len(ctx) > end) /* what a link has padded it with */
		err = ctx_resize(ctx, end);
	err = err ?: bpf_xdp_adjust_head(ctx, -(int)len);
	err = err ?: ctx_load(ctx, len, bytes, sizeof(bytes));
	err = err ?: ctx_store(ctx, 0, bytes, sizeof(bytes));
	if (err || !pkt->v6)
		return err;
	err = ctx_load(ctx, at + len, bytes, IPV6_LEN - IPV4_LEN);
	return err ?: ctx_store(ctx, at, bytes, IPV6_LEN - IPV4_LEN);
}
#else
/* Makes room for `len` bytes behind the fixed TCP header. Grows the packet at its tail and moves
 * the rest up, last bytes first: adjust_room would move the headers down instead and leave
 * csum_start of a CHECKSUM_PARTIAL packet pointing into them. Returns 0 or a negative errno. */
static __always_inline int toa_make_room(ctx_t *ctx, const struct packet *pkt, u32 by)
{
	u32 start = pkt->l4 + TCP_MIN_LEN, end = pkt->l3 + pkt->ip_len;
	u8 bytes[TOA_MOVE] = {};

	if (ctx_resize(ctx, end + by))
		return -ENOMEM;

	for (int i = 0; i < TOA_MAX_MOVES; i++) {
		u64 len = end - start > TOA_MOVE ? TOA_MOVE : end - start;

		if (len == 0)
			return 0;
		/* clang folds this bound into the line above, where the verifier does not see it.
		 */
		asm volatile("" : "+r"(len));
		if (len - 1 >= TOA_MOVE)
			return -EINVAL;
		end -= len;
		if (ctx_load(ctx, end, bytes, len) || ctx_store(ctx, end + by, bytes, len))
			return -EFAULT;
	}
	return end == start ? 0 : -EMSGSIZE;
}
#endif

/* Writes the new lengths into the IP header. Returns 0 or a negative errno. */
static __always_inline int toa_ip_len(ctx_t *ctx, const struct packet *pkt, u32 len)
{
	__be16 old_len = bpf_htons(pkt->ip_len), new_len = bpf_htons(len);
	__be16 payload = bpf_htons(len - IPV6_LEN);

	if (pkt->v6)
		return ctx_store(ctx, pkt->l3 + IPV6_PAYLOAD, &payload, 2);
	return ctx_csum_l3(ctx, pkt->l3 + IPV4_CSUM, old_len, new_len, 2)
		   ?: ctx_store(ctx, pkt->l3 + IPV4_TOT_LEN, &new_len, 2);
}

/* Writes the option for the flow's client directly behind the fixed TCP header and updates `pkt`.
 * A segment without room goes without (EVENT_TOA_NO_ROOM). Returns 0 or a negative errno. */
static __always_inline int toa_write(ctx_t *ctx, struct packet *pkt, u8 kind, u32 mtu)
{
	struct toa_option toa = {.kind = kind, .port = pkt->flow.sport};
	u32 len = toa_len(pkt->v6);
	u32 end = pkt->l3 + pkt->ip_len;
	u32 tcp_len = end - pkt->l4;
	u32 at = pkt->l4 + TCP_MIN_LEN;
	u32 csum = pkt->l4 + TCP_CSUM;
	__be16 old_doff = 0, new_doff;
	int err;

	if (pkt->tcp_doff + len / 4 > TCP_MAX_DOFF || pkt->ip_len + len > mtu ||
	    end - at > TOA_MOVE * TOA_MAX_MOVES || CTX_HAS_GSO(ctx)) {
		count(EVENT_TOA_NO_ROOM);
		return 0;
	}
	toa.len = len;
	if (pkt->v6)
		__builtin_memcpy(toa.addr, &pkt->flow.saddr, 16);
	else
		toa.addr[0] = v4_from_addr(&pkt->flow.saddr);
	err = toa_make_room(ctx, pkt, len);
	if (pkt->v6)
		err = err ?: ctx_store(ctx, at, &toa, TOA6_LEN);
	else
		err = err ?: ctx_store(ctx, at, &toa, TOA_LEN);
	err = err ?: ctx_load(ctx, pkt->l4 + TCP_DOFF, &old_doff, 2);
	if (err)
		return err;
	new_doff = old_doff + bpf_htons((len / 4) << 12);
	err = ctx_store(ctx, pkt->l4 + TCP_DOFF, &new_doff, 2);
	err = err ?: ctx_csum_l4(ctx, csum, old_doff, new_doff, 2);
	/* The rest of the option is zero for IPv4. */
	err = err ?: ctx_csum_l4(ctx, csum, 0, bpf_csum_diff(0, 0, (__be32 *)&toa, TOA6_LEN, 0), 0);
	err = err
		  ?: ctx_csum_l4(ctx, csum, bpf_htons(tcp_len), bpf_htons(tcp_len + len),
				 BPF_F_PSEUDO_HDR | (pkt->v6 ? CSUM_IPV6 : 0) | 2);
	err = err ?: toa_ip_len(ctx, pkt, pkt->ip_len + len);
	if (err)
		return err;
	pkt->ip_len += len;
	pkt->tcp_doff += len / 4;
	count(EVENT_TOA_WRITTEN);
	return 0;
}

#endif
