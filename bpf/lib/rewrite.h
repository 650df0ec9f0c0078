/* rewrite.h: change addresses, ports and TTL of an IPv4 packet in place.
 *
 * Everything goes through the checksum helpers. A direct write of IPv4 addresses gives right bytes
 * on the wire and a wrong skb->csum on a NIC that delivers CHECKSUM_COMPLETE (research: e15), and
 * CHECKSUM_PARTIAL packets, which veth and every local socket produce, want only the
 * pseudo-header's changes in the TCP checksum. */
#ifndef UNILB_REWRITE_H
#define UNILB_REWRITE_H

#include "parse.h"

#define IPV4_TTL   8
#define IPV4_CSUM  10
#define IPV4_SADDR 12
#define TCP_CSUM   16
#define UDP_CSUM   6

static __always_inline u32 l4_csum_offset(const struct packet *pkt)
{
	return pkt->l4 + (pkt->flow.proto == IPPROTO_TCP ? TCP_CSUM : UDP_CSUM);
}

/* A UDP checksum of 0 means "none" and stays so; a computed 0 becomes 0xffff (RFC 768). */
static __always_inline u64 l4_csum_flags(const struct packet *pkt)
{
	return pkt->flow.proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

/* Makes the packet leave as the other end of `peer`: from (peer.daddr, peer.dport) to (peer.saddr,
 * peer.sport), with its TTL lowered by `hops`. Returns 0, or a negative errno when a header could
 * not be made writable. */
static __always_inline int rewrite(struct __sk_buff *skb, const struct packet *pkt,
				   const struct flow *peer, u8 hops)
{
	__be32 from[3] = {v4_from_addr(&pkt->flow.saddr), v4_from_addr(&pkt->flow.daddr),
			  bpf_htonl((u32)pkt->ttl << 24)};
	__be32 to[3] = {v4_from_addr(&peer->daddr), v4_from_addr(&peer->saddr),
			bpf_htonl((u32)(pkt->ttl - hops) << 24)};
	u32 old_ports = (u32)pkt->flow.sport | (u32)pkt->flow.dport << 16;
	u32 new_ports = (u32)peer->dport | (u32)peer->sport << 16;
	u32 csum = l4_csum_offset(pkt);
	u64 flags = l4_csum_flags(pkt);
	u8 ttl = pkt->ttl - hops;
	int err;

	/* TTL is the high byte of a 16-bit word of the header, as in from[2] and to[2]. */
	err =
	    bpf_l3_csum_replace(skb, pkt->l3 + IPV4_CSUM, 0, bpf_csum_diff(from, 12, to, 12, 0), 0);
	err = err
		  ?: bpf_l4_csum_replace(skb, csum, 0, bpf_csum_diff(from, 8, to, 8, 0),
					 flags | BPF_F_PSEUDO_HDR);
	err = err ?: bpf_l4_csum_replace(skb, csum, old_ports, new_ports, flags | 4);
	err = err ?: bpf_skb_store_bytes(skb, pkt->l3 + IPV4_SADDR, to, 8, 0);
	err = err ?: bpf_skb_store_bytes(skb, pkt->l4, &new_ports, 4, 0);
	if (hops)
		err = err ?: bpf_skb_store_bytes(skb, pkt->l3 + IPV4_TTL, &ttl, 1, 0);
	return err;
}

#endif
