/* vxlan.h: put a packet into a VNI and take it out (RFC 7348), as Linux's own vxlan device expects
 * it.
 *
 * That device drops any reserved bit, and TCP behind a broadcast or foreign inner MAC (research:
 * e6), hence real MACs and a header of exactly "VNI valid". */
#ifndef UNILB_VXLAN_H
#define UNILB_VXLAN_H

#include "gue.h"
#include "icmp.h"
#include "outer.h"
#include "verdict.h"

#ifdef UNILB_XDP
static __always_inline int outer_room(ctx_t *ctx, u32 len)
{
	return bpf_xdp_adjust_head(ctx, -(int)len);
}
#else
#define OUTER_ROOM                                                                                 \
	(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |                                  \
	 BPF_F_ADJ_ROOM_ENCAP_L2(ETH_LEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

/* The route's MTU already keeps segments small enough: FIXED_GSO leaves gso_size alone. */
static __always_inline int outer_room(ctx_t *ctx, u32 len)
{
	return bpf_skb_adjust_room(ctx, len, BPF_ADJ_ROOM_MAC,
				   OUTER_ROOM | (len == OUTER_LEN ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
								  : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6));
}
#endif

static __always_inline void vxlan_fill(struct vxlan *vxlan, struct ethhdr *inner,
				       const struct endpoint *endpoint,
				       const struct machine *machine, __be16 proto)
{
	vxlan->flags = bpf_htonl(VXLAN_VNI_VALID);
	vxlan->vni = bpf_htonl(endpoint->vni << 8);
	__builtin_memcpy(inner->h_dest, endpoint->mac, 6);
	__builtin_memcpy(inner->h_source, machine->inner_mac, 6);
	inner->h_proto = proto;
}

#ifdef UNILB_XDP
static __always_inline int segments_push(ctx_t *ctx, const struct endpoint *endpoint,
					 const struct machine *machine, u8 tos)
{
	return -EINVAL; /* XDP sees single packets only */
}
#else
/* As the kernel has it; BCC's own may lack the local address. */
struct tunnel_key {
	u32 id;
	struct addr remote;
	u8 tos;
	u8 ttl;
	u16 flags;
	u32 label;
	struct addr local;
};

/* A packet that a device will cut up gets its outer headers from the kernel's vxlan device:
 * adjust_room has no way to ask for a checksum in each segment. Here it is told which. */
static __always_inline int segments_push(ctx_t *ctx, const struct endpoint *endpoint,
					 const struct machine *machine, u8 tos)
{
	struct tunnel_key key = {.id = endpoint->vni, .tos = tos, .ttl = OUTER_TTL};
	u8 macs[12];

	if (!machine->segments_ifindex)
		return -ENODEV;
	key.remote = endpoint->vtep;
	key.local = machine->underlay6;
	__builtin_memcpy(macs, endpoint->mac, 6);
	__builtin_memcpy(macs + 6, machine->inner_mac, 6);
	return ctx_store(ctx, 0, macs, sizeof(macs))
		   ?: bpf_skb_set_tunnel_key(ctx, (void *)&key, sizeof(key), BPF_F_TUNINFO_IPV6);
}
#endif

static __always_inline int vxlan6_push(ctx_t *ctx, const struct endpoint *endpoint,
				       const struct machine *machine, __be16 sport, u8 tos)
{
	struct tunnel6 tunnel = {};
	__be16 proto = bpf_htons(ETH_P_IP);
	__be32 head[5] = {};
	u64 sum = 0;
	u32 len;
	int err;

	err = ctx_load(ctx, ETH_LEN, head, sizeof(head));
	if (bpf_ntohl(head[0]) >> 28 == 6) {
		proto = bpf_htons(ETH_P_IPV6);
		len = IPV6_LEN + (bpf_ntohl(head[1]) >> 16);
		err = err ?: inner6_sum(ctx, head, len, &sum);
	} else {
		len = bpf_ntohl(head[0]) & 0xffff;
		err = err ?: inner4_sum(ctx, head, len, &sum);
	}
	/* What a link has padded the frame with is in no sum. */
	if (ctx_len(ctx) != ETH_LEN + len)
		err = err ?: ctx_resize(ctx, ETH_LEN + len);
	vxlan_fill(&tunnel.vxlan, &tunnel.inner, endpoint, machine, proto);
	tunnel.ip.saddr = machine->underlay6;
	tunnel.ip.daddr = endpoint->vtep;
	tunnel.udp.source = sport;
	tunnel.udp.dest = bpf_htons(VXLAN_PORT);
	outer6_fill(&tunnel, len, tos, sum);
	err = err ?: outer_room(ctx, OUTER6_LEN);
	return err ?: ctx_store(ctx, 0, &tunnel, sizeof(tunnel));
}

/* Puts the packet into its endpoint's VNI. `tos` is the inner TOS or traffic class. The outer MACs
 * are left to whoever sends it. Returns 0 or a negative errno. */
static __always_inline int vxlan_push(ctx_t *ctx, const struct endpoint *endpoint,
				      const struct machine *machine, __be16 sport, u8 tos)
{
	struct tunnel tunnel = {};
	__be16 proto = 0;
	int err;

	if (!addr_is_v4(&endpoint->vtep) && CTX_HAS_GSO(ctx))
		return segments_push(ctx, endpoint, machine, ecn_encap(tos));
	if (!addr_is_v4(&endpoint->vtep))
		return vxlan6_push(ctx, endpoint, machine, sport, ecn_encap(tos));
	err = ctx_load(ctx, offsetof(struct ethhdr, h_proto), &proto, sizeof(proto));
	vxlan_fill(&tunnel.vxlan, &tunnel.inner, endpoint, machine, proto);
	tunnel.ip.saddr = v4_from_addr(&machine->underlay);
	tunnel.ip.daddr = v4_from_addr(&endpoint->vtep);
	tunnel.ip.tos = ecn_encap(tos);
	tunnel.udp.source = sport;
	tunnel.udp.dest = bpf_htons(VXLAN_PORT);
	outer_fill(&tunnel, ctx_len(ctx) - ETH_LEN);
	err = err ?: outer_room(ctx, OUTER_LEN);
	return err ?: ctx_store(ctx, 0, &tunnel, sizeof(tunnel));
}

/* Takes the outer headers off again; an Ethernet header of the inner packet's type remains, its
 * MACs to be written anew. Returns 0 or a negative errno. */
static __always_inline int vxlan_pop(ctx_t *ctx, const struct packet *outer,
				     const struct packet *inner)
{
	int len = outer->v6 ? OUTER6_LEN : OUTER_LEN;
#ifdef UNILB_XDP
	return bpf_xdp_adjust_head(ctx, len);
#else
	u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	__be16 proto = inner->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);

	/* Kernels before 6.3 know no other change than of the same family. */
	if (inner->v6 != outer->v6)
		flags |= inner->v6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4;
	return bpf_skb_adjust_room(ctx, -len, BPF_ADJ_ROOM_MAC, flags)
		   ?: ctx_store(ctx, offsetof(struct ethhdr, h_proto), &proto, sizeof(proto));
#endif
}

static __always_inline int mac_equal(const u8 *a, const u8 *b)
{
	const u16 *x = (const u16 *)a, *y = (const u16 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Checks the VXLAN header and the Ethernet header behind it. Returns enum
 * drop_reason; the VNI is written on DROP_NONE. */
static __always_inline int vxlan_check(const struct vxlan *vxlan, void *data_end,
				       const struct machine *machine, u32 *vni)
{
	const struct ethhdr *inner = (void *)(vxlan + 1);

	if ((void *)(inner + 1) > data_end)
		return DROP_MALFORMED;
	if (vxlan->flags != bpf_htonl(VXLAN_VNI_VALID) || vxlan->vni & bpf_htonl(0xff))
		return DROP_VXLAN_HEADER;
	*vni = bpf_ntohl(vxlan->vni) >> 8;
	if (!mac_equal(inner->h_dest, machine->inner_mac))
		return DROP_INNER_MAC;
	if (inner->h_proto != bpf_htons(ETH_P_IP) && inner->h_proto != bpf_htons(ETH_P_IPV6))
		return DROP_INNER_PROTOCOL;
	return DROP_NONE;
}

/* Below this a router's word on the path is not believed: 576 bytes are IPv4's least, and 1280 an
 * IPv6 underlay's (RFC 8200 section 5). */
#define PATH_MTU_MIN (576 + OUTER_LEN)
#define IPV6_MTU_MIN 1280
#define PATH_MTU_NS                                                                                \
	(600ULL * 1000000000) /* the kernel's own: RFC 1191 section 6.3 says 10 minutes */

/* Returns the MTU of a "fragmentation needed" or "packet too big", or 0. */
static __always_inline u32 icmp_mtu(ctx_t *ctx, const struct packet *pkt)
{
	__be32 mtu = 0;

	if (ctx_load(ctx, pkt->l4 + 4, &mtu, 4))
		return 0;
	if (pkt->v6)
		return pkt->icmp_type == ICMP6_TOO_BIG ? bpf_ntohl(mtu) : 0;
	return pkt->icmp_type == ICMP4_UNREACHABLE && pkt->icmp_code == ICMP4_FRAG_NEEDED
		   ? bpf_ntohl(mtu) & 0xffff
		   : 0;
}

/* Learns from such an error about a tunnel packet of ours. Nobody else would: the kernel has no
 * socket of that port. The stack gets the packet as well. */
static __always_inline void path_mtu_learn(ctx_t *ctx, const struct packet *pkt,
					   const struct machine *machine)
{
	struct path_mtu learnt = {.mtu = icmp_mtu(ctx, pkt)};
	struct quote quote = {};

	if (learnt.mtu < (pkt->v6 ? IPV6_MTU_MIN : PATH_MTU_MIN) || learnt.mtu >= machine->mtu ||
	    quote_read(ctx, pkt, &quote) || quote.flow.proto != IPPROTO_UDP ||
	    (quote.flow.dport != bpf_htons(VXLAN_PORT) &&
	     quote.flow.dport != bpf_htons(GUE_PORT)) ||
	    !addr_equal(&quote.flow.saddr, underlay(machine, &quote.flow.daddr)))
		return;
	learnt.learnt_ns = bpf_ktime_get_ns();
	path_mtus.update(&quote.flow.daddr, &learnt);
	count(EVENT_PATH_MTU);
}

/* Returns how long a packet may be to fit, with `extra` bytes before it, through a device of `mtu`
 * bytes and what is known of the way to `to`. */
static __always_inline u32 tunnel_mtu(const struct addr *to, u32 mtu, u32 extra)
{
	struct path_mtu *path = path_mtus.lookup((struct addr *)to);

	if (path && path->mtu < mtu && bpf_ktime_get_ns() - path->learnt_ns < PATH_MTU_NS)
		mtu = path->mtu;
	return mtu - extra;
}

/* Returns how long an inner packet to this endpoint may be, or 0 when one of `len` bytes will do.
 * An IPv6 packet of its least MTU always will: its sender would not make it shorter (RFC 8200). */
static __always_inline u32 vxlan_exceeds(const struct endpoint *endpoint, u32 len, u8 v6)
{
	u32 extra = outer_len(&endpoint->vtep), mtu;

	if (len + extra <= PATH_MTU_MIN)
		return 0;
	mtu = tunnel_mtu(&endpoint->vtep, endpoint->mtu + extra, extra);
	if (v6 && mtu < IPV6_MTU_MIN)
		mtu = IPV6_MTU_MIN;
	return len > mtu ? mtu : 0;
}

/* Returns the length of the packet on the wire: of one segment when the device will cut it. */
static __always_inline u32 wire_len(ctx_t *ctx, const struct packet *pkt)
{
	if (CTX_HAS_GSO(ctx))
		return pkt->l4 - pkt->l3 + pkt->tcp_doff * 4 + CTX_HAS_GSO(ctx);
	return pkt->ip_len;
}

#endif
