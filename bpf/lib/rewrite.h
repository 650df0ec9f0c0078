/* rewrite.h: change addresses, ports and TTL of a packet in place.
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
#define IPV6_SADDR 8
#define IPV6_HOPS  7
#define TCP_CSUM   16
#define UDP_CSUM   6
#define ICMP_CSUM  2
#define ICMP_ID	   4

static __always_inline u32 l4_csum_offset(const struct packet *pkt)
{
	switch (pkt->flow.proto) {
	case IPPROTO_TCP:
		return pkt->l4 + TCP_CSUM;
	case IPPROTO_UDP:
		return pkt->l4 + UDP_CSUM;
	default:
		return pkt->l4 + ICMP_CSUM;
	}
}

/* A UDP checksum of 0 means "none" and stays; one that becomes 0 is written as ffff. */
static __always_inline u64 l4_csum_flags(const struct packet *pkt)
{
	return pkt->flow.proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

/* The flags for a change of the pseudo-header. */
static __always_inline u64 pseudo_flags(const struct packet *pkt)
{
	return BPF_F_PSEUDO_HDR | (pkt->v6 ? CSUM_IPV6 : 0) | l4_csum_flags(pkt);
}

/* Returns what the checksums of the packet change by when its addresses become `ends`. A mapped
 * IPv4 address differs from another in its last four bytes only, so one sum serves both families.
 */
static __always_inline u64 addresses_diff(const struct flow *from, const struct addr ends[2])
{
	const u32 *old = (const u32 *)&from->saddr, *new = (const u32 *)ends;
	u64 sum = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < 8; i++)
		sum += (u64)(u32)~old[i] + new[i];
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

/* Returns the checksum of an IPv4 header whose own field is 0 yet; it lies at even addresses. */
static __always_inline __sum16 ipv4_check(const void *ip)
{
	const u16 *word = ip;
	u64 sum = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < IPV4_LEN / 2; i++)
		sum += word[i];
	return ~csum_fold_u64(sum);
}

/* The second half of an IPv4 header: one read and one write are all that a translation costs. */
struct ipv4_half {
	u8 ttl;
	u8 proto;
	__sum16 check;
	__be32 saddr;
	__be32 daddr;
};

static __always_inline int rewrite_ipv4(ctx_t *ctx, const struct packet *pkt, struct addr ends[2],
					u64 diff, u8 hops)
{
	struct ipv4_half half = {};
	u64 sum;

	if (ctx_header_load(ctx, pkt->l3 + IPV4_TTL, &half, sizeof(half)))
		return -EFAULT;
	/* TTL is the high byte of a 16-bit word of the header. */
	sum = (u64)(u16)~half.check + diff + (u16)~bpf_htons((u16)(half.ttl << 8)) +
	      bpf_htons((u16)((u8)(half.ttl - hops) << 8));
	half.check = ~csum_fold_u64(sum);
	half.ttl -= hops;
	half.saddr = v4_from_addr(&ends[0]);
	half.daddr = v4_from_addr(&ends[1]);
	return ctx_header_store(ctx, pkt->l3 + IPV4_TTL, &half, sizeof(half));
}

/* Writes the addresses `ends` (source, destination) and lowers the TTL by `hops`. The checksum of
 * TCP, UDP and ICMPv6 covers them, ICMP's does not. Returns 0 or a negative errno. */
static __always_inline int rewrite_addresses(ctx_t *ctx, const struct packet *pkt,
					     struct addr ends[2], u8 hops)
{
	u64 diff = addresses_diff(&pkt->flow, ends);
	u8 ttl = pkt->ttl - hops;
	int err = 0;

	if (pkt->flow.proto != IPPROTO_ICMP)
		err = ctx_csum_l4(ctx, l4_csum_offset(pkt), 0, diff, pseudo_flags(pkt));
	if (pkt->v6) {
		err = err ?: ctx_header_store(ctx, pkt->l3 + IPV6_SADDR, ends, 32);
		if (hops)
			err = err ?: ctx_store_unbalanced(ctx, pkt->l3 + IPV6_HOPS, &ttl, 1);
		return err;
	}
	return err ?: rewrite_ipv4(ctx, pkt, ends, diff, hops);
}

/* Lowers the TTL by one. Returns 0 or a negative errno. */
static __always_inline int rewrite_ttl(ctx_t *ctx, const struct packet *pkt)
{
	u8 ttl = pkt->ttl - 1;
	int err;

	if (pkt->v6)
		return ctx_store_unbalanced(ctx, pkt->l3 + IPV6_HOPS, &ttl, 1);
	err = ctx_csum_l3(ctx, pkt->l3 + IPV4_CSUM, bpf_htons((u16)(pkt->ttl << 8)),
			  bpf_htons((u16)(ttl << 8)), 2);
	return err ?: ctx_store(ctx, pkt->l3 + IPV4_TTL, &ttl, 1);
}

/* Makes the packet leave as the other end of `peer`: from (peer.daddr, peer.dport) to (peer.saddr,
 * peer.sport), with its TTL lowered by `hops`. Returns 0, or a negative errno when a header could
 * not be made writable. */
static __always_inline int rewrite(ctx_t *ctx, const struct packet *pkt, const struct flow *peer,
				   u8 hops)
{
	struct addr ends[2] = {peer->daddr, peer->saddr};
	u32 csum = l4_csum_offset(pkt);
	u64 flags = l4_csum_flags(pkt);
	u32 old_ports, new_ports;
	u8 is_udp = pkt->flow.proto == IPPROTO_UDP;
	__be16 old_id, new_id, old_csum = 0;
	int err;

	err = rewrite_addresses(ctx, pkt, ends, hops);
	if (pkt->is_echo) {
		old_id = pkt->flow.sport | pkt->flow.dport; /* one of them is 0 */
		new_id = peer->sport | peer->dport;
		err = err ?: ctx_csum_l4(ctx, csum, old_id, new_id, 2);
		return err ?: ctx_store(ctx, pkt->l4 + ICMP_ID, &new_id, 2);
	}
	old_ports = (u32)pkt->flow.sport | (u32)pkt->flow.dport << 16;
	new_ports = (u32)peer->dport | (u32)peer->sport << 16;
	if (is_udp && !ctx_header_load(ctx, csum, &old_csum, 2) && !old_csum)
		return err ?: ctx_store_unbalanced(ctx, pkt->l4, &new_ports, 4);
	err = err ?: ctx_csum_l4(ctx, csum, old_ports, new_ports, flags | 4);
	return err ?: ctx_header_store(ctx, pkt->l4, &new_ports, 4);
}

#endif
