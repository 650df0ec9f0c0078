/* outer.h: the headers around a VXLAN packet, over IPv4 (50 bytes) and over IPv6 (70).
 *
 * Over IPv4 the UDP checksum is 0: the IP header has one of its own. Over IPv6 it is always there.
 * RFC 6935 permits 0 only towards a receiver that was told to take it, and Linux's vxlan device was
 * not told (udp6zerocsumrx). It costs no pass over the payload: the inner transport checksum, once
 * complete, makes what it covers sum up to the complement of its pseudo-header ("local checksum
 * offload"), whoever completes it. Of a packet that a device cuts up later each segment would need
 * its own: those go through the kernel's device instead (forward.h). */
#ifndef UNILB_OUTER_H
#define UNILB_OUTER_H

#include "ecn.h"
#include "quote.h"

#define VXLAN_PORT	4789
#define VXLAN_LEN	8
#define VXLAN_VNI_VALID 0x08000000
#define OUTER_LEN	(IPV4_LEN + UDP_LEN + VXLAN_LEN + ETH_LEN) /* what one packet grows by */
#define OUTER6_LEN	(IPV6_LEN + UDP_LEN + VXLAN_LEN + ETH_LEN)
#define OUTER_TTL	64
#define SUM_STEPS	72 /* of SCRATCH_BYTES: the longest frame that XDP and veth know */

struct vxlan {
	__be32 flags;
	__be32 vni; /* 24 bits, then 8 reserved */
} __attribute__((packed, aligned(2)));

/* The outer frame from its Ethernet header to the inner frame's, as written in one go. */
struct tunnel {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr inner;
} __attribute__((packed, aligned(2)));
_Static_assert(sizeof(struct tunnel) == ETH_LEN + OUTER_LEN, "the outer headers");

struct tunnel6 {
	struct ethhdr eth;
	struct ipv6 ip;
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr inner;
} __attribute__((packed, aligned(2)));
_Static_assert(sizeof(struct tunnel6) == ETH_LEN + OUTER6_LEN, "the outer headers");
#define OUTER6_SUMMED 64 /* bytes from nexthdr, which stand for the pseudo-header's too */

/* Returns what a packet to or from this VTEP grows by. */
static __always_inline u32 outer_len(const struct addr *vtep)
{
	return addr_is_v4(vtep) ? OUTER_LEN : OUTER6_LEN;
}

/* Returns the machine's own address towards this VTEP. */
static __always_inline const struct addr *underlay(const struct machine *machine,
						   const struct addr *vtep)
{
	return addr_is_v4(vtep) ? &machine->underlay : &machine->underlay6;
}

/* Adds the frame's bytes from its IP header to `end`, where no checksum speaks for them. Place and
 * sum are kept in memory: in registers the verifier would tell every step from every other. Returns
 * 0 or a negative errno. */
static __always_inline int sum_bytes(ctx_t *ctx, u32 end, u64 *sum)
{
	struct scratch *room;
	u32 zero = 0;
	u64 len;

	room = scratch.lookup(&zero);
	if (!room)
		return -EINVAL;
	room->at = ETH_LEN;
	room->sum = 0;
	for (int i = 0; i < SUM_STEPS; i++) {
		if (room->at + SCRATCH_BYTES > end)
			break;
		if (ctx_load(ctx, room->at, room->bytes, SCRATCH_BYTES))
			return -EFAULT;
		room->sum += (u32)bpf_csum_diff(0, 0, (__be32 *)room->bytes, SCRATCH_BYTES, 0);
		room->at += SCRATCH_BYTES;
	}
	len = end - room->at;
	__builtin_memset(room->bytes, 0, SCRATCH_BYTES);
	asm volatile("" : "+r"(len));
	if (len >= SCRATCH_BYTES)
		return -EMSGSIZE;
	if (len && ctx_load(ctx, room->at, room->bytes, len))
		return -EFAULT;
	*sum += room->sum + (u32)bpf_csum_diff(0, 0, (__be32 *)room->bytes, SCRATCH_BYTES, 0);
	return 0;
}

/* Returns whether the inner packet is UDP without a checksum, or a negative errno. */
static __always_inline int is_unsummed_udp(ctx_t *ctx, u8 proto, u32 l4)
{
	__be16 csum = 0;

	if (proto == IPPROTO_UDP && ctx_load(ctx, l4 + UDP_CSUM, &csum, 2))
		return -EFAULT;
	return proto == IPPROTO_UDP && !csum;
}

/* Adds up the IPv4 packet of `len` bytes behind the Ethernet header, which begins with `head`, as
 * it is on the wire. Its header with its checksum adds nothing, nor does an ICMP message. Returns 0
 * or a negative errno. */
static __always_inline int inner4_sum(ctx_t *ctx, const __be32 head[5], u32 len, u64 *sum)
{
	__be32 addresses[2] = {~head[3], ~head[4]};
	u8 proto = bpf_ntohl(head[2]) >> 16;
	int unsummed = is_unsummed_udp(ctx, proto, ETH_LEN + IPV4_LEN);

	if (unsummed < 0 || proto == IPPROTO_ICMP)
		return unsummed;
	if (unsummed)
		return sum_bytes(ctx, ETH_LEN + len, sum);
	*sum += (u32)bpf_csum_diff(0, 0, addresses, 8, 0);
	*sum += (u16)~bpf_htons(proto) + (u16)~bpf_htons(len - IPV4_LEN);
	return 0;
}

/* Likewise for IPv6, whose addresses and length stand in the header and in the pseudo-header, and
 * cancel out. */
static __always_inline int inner6_sum(ctx_t *ctx, const __be32 head[5], u32 len, u64 *sum)
{
	u32 second = bpf_ntohl(head[1]);
	u8 proto = second >> 8;
	int unsummed = is_unsummed_udp(ctx, proto, ETH_LEN + IPV6_LEN);

	if (unsummed < 0)
		return unsummed;
	if (unsummed)
		return sum_bytes(ctx, ETH_LEN + len, sum);
	*sum += (u32)bpf_csum_diff(0, 0, (__be32 *)head, 4, 0);
	*sum += bpf_htons((u16)second) + (u16)~bpf_htons(proto);
	return 0;
}

/* Fills in what depends on the inner packet's length, and the header's checksum. */
static __always_inline void outer_fill(struct tunnel *tunnel, u32 len)
{
	tunnel->eth.h_proto = bpf_htons(ETH_P_IP);
	tunnel->ip.version = 4;
	tunnel->ip.ihl = 5;
	tunnel->ip.tot_len = bpf_htons(len + OUTER_LEN);
	/* Never fragment the outer packet (RFC 7348 section 4.3). */
	tunnel->ip.frag_off = bpf_htons(0x4000);
	tunnel->ip.ttl = OUTER_TTL;
	tunnel->ip.protocol = IPPROTO_UDP;
	tunnel->udp.len = bpf_htons(len + OUTER_LEN - IPV4_LEN);
	tunnel->ip.check = ipv4_check(&tunnel->ip);
}

/* Likewise, with the UDP checksum. `sum` is that of the inner packet. */
static __always_inline void outer6_fill(struct tunnel6 *tunnel, u32 len, u8 tos, u64 sum)
{
	__be16 udp_len = bpf_htons(len + OUTER6_LEN - IPV6_LEN);
	/* As much entropy as the source port has (RFC 6438). */
	u32 label = bpf_ntohs(tunnel->udp.source) * 0x9e3779b1 >> 12;

	tunnel->eth.h_proto = bpf_htons(ETH_P_IPV6);
	tunnel->ip.vtcfl = bpf_htonl(6U << 28 | (u32)tos << 20 | label);
	tunnel->ip.payload_len = tunnel->udp.len = udp_len;
	tunnel->ip.hop_limit = IPPROTO_UDP; /* nexthdr is 0 yet: as in the pseudo-header */
	sum += udp_len;
	sum += (u32)bpf_csum_diff(0, 0, (__be32 *)&tunnel->ip.nexthdr, OUTER6_SUMMED, 0);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	tunnel->udp.check = csum_add_u16(0xffff, sum) ?: 0xffff;
	tunnel->ip.nexthdr = IPPROTO_UDP;
	tunnel->ip.hop_limit = OUTER_TTL;
}

#endif
