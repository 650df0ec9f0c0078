/* toa.h: the client's address as a TCP option.
 *
 * kind(1) len(1) port(2, network order) IPv4 address(4): LVS's and DPVS's layout, port first. The
 * L4 tier writes it on every segment of the client until the gateway's socket has answered, so that
 * loss of one segment loses nothing. */
#ifndef UNILB_TOA_H
#define UNILB_TOA_H

#include "rewrite.h"
#include "verdict.h"

#define TOA_LEN	      8
#define TCP_MAX_DOFF  15
#define TCP_DOFF      12
#define IPV4_TOT_LEN  2
#define TOA_MOVE      64 /* bytes moved per step: half of what the 512 byte stack could spare */
#define TOA_MAX_MOVES 24 /* 24 * 64 = 1536: a full segment of a 1500 byte MTU */

struct toa_option {
	u8 kind;
	u8 len;
	__be16 port;
	__be32 addr;
};

/* Moves the bytes [start, end) up by TOA_LEN, last first, and returns 0 or a negative errno. */
static __always_inline int toa_make_room(struct __sk_buff *skb, u32 start, u32 end)
{
	u8 bytes[TOA_MOVE] = {};

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
		if (bpf_skb_load_bytes(skb, end, bytes, len) ||
		    bpf_skb_store_bytes(skb, end + TOA_LEN, bytes, len, 0))
			return -EFAULT;
	}
	return end == start ? 0 : -EMSGSIZE;
}

/* Writes the option for `client` directly behind the fixed TCP header and updates `pkt`. Grows the
 * packet at its tail and moves the rest up: adjust_room would move the headers down instead and
 * leave csum_start of a CHECKSUM_PARTIAL packet pointing into them. A segment without room goes
 * without (EVENT_TOA_NO_ROOM). Returns 0 or a negative errno. */
static __always_inline int toa_write(struct __sk_buff *skb, struct packet *pkt, u8 kind, u32 mtu)
{
	struct toa_option toa = {kind, TOA_LEN, pkt->flow.sport, v4_from_addr(&pkt->flow.saddr)};
	u32 end = pkt->l3 + pkt->ip_len;
	u32 tcp_len = pkt->ip_len - IPV4_LEN;
	u32 at = pkt->l4 + TCP_MIN_LEN;
	u32 csum = pkt->l4 + TCP_CSUM;
	__be16 old_len = bpf_htons(pkt->ip_len), new_len = bpf_htons(pkt->ip_len + TOA_LEN);
	__be16 old_doff = 0, new_doff;
	int err;

	if (pkt->tcp_doff + TOA_LEN / 4 > TCP_MAX_DOFF || pkt->ip_len + TOA_LEN > mtu ||
	    end - at > TOA_MOVE * TOA_MAX_MOVES || skb->gso_size) {
		count(EVENT_TOA_NO_ROOM);
		return 0;
	}
	err = bpf_skb_change_tail(skb, end + TOA_LEN, 0);
	err = err ?: toa_make_room(skb, at, end);
	err = err ?: bpf_skb_store_bytes(skb, at, &toa, TOA_LEN, 0);
	err = err ?: bpf_skb_load_bytes(skb, pkt->l4 + TCP_DOFF, &old_doff, 2);
	if (err)
		return err;
	new_doff = old_doff + bpf_htons((TOA_LEN / 4) << 12);
	err = bpf_skb_store_bytes(skb, pkt->l4 + TCP_DOFF, &new_doff, 2, 0);
	err = err ?: bpf_l4_csum_replace(skb, csum, old_doff, new_doff, 2);
	err = err
		  ?: bpf_l4_csum_replace(skb, csum, 0,
					 bpf_csum_diff(0, 0, (__be32 *)&toa, TOA_LEN, 0), 0);
	err = err
		  ?: bpf_l4_csum_replace(skb, csum, bpf_htons(tcp_len),
					 bpf_htons(tcp_len + TOA_LEN), BPF_F_PSEUDO_HDR | 2);
	err = err ?: bpf_l3_csum_replace(skb, pkt->l3 + IPV4_CSUM, old_len, new_len, 2);
	err = err ?: bpf_skb_store_bytes(skb, pkt->l3 + IPV4_TOT_LEN, &new_len, 2, 0);
	if (err)
		return err;
	pkt->ip_len += TOA_LEN;
	pkt->tcp_doff += TOA_LEN / 4;
	count(EVENT_TOA_WRITTEN);
	return 0;
}

#endif
