/* vxlan.h: put a packet into a VNI and take it out (RFC 7348), as Linux's own vxlan device expects
 * it.
 *
 * That device drops any reserved bit, and TCP behind a broadcast or foreign inner MAC (research:
 * e6), hence real MACs and a header of exactly "VNI valid". */
#ifndef UNILB_VXLAN_H
#define UNILB_VXLAN_H

#include "path_mtu.h"

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

/* Puts the packet into its endpoint's VNI. What a link has padded it with goes along, behind the
 * outer packet's end. The outer MACs are left to whoever sends it. Returns 0 or a negative errno.
 */
static __always_inline int vxlan_push(ctx_t *ctx, const struct packet *pkt,
				      const struct endpoint *endpoint,
				      const struct machine *machine, __be16 sport)
{
	struct tunnel tunnel __attribute__((aligned(4))) = {};
	int err;

	if (!addr_is_v4(&endpoint->vtep) && CTX_HAS_GSO(ctx))
		return segments_push(ctx, endpoint, machine, ecn_encap(pkt->tos));
	if (!addr_is_v4(&endpoint->vtep))
		return vxlan6_push(ctx, endpoint, machine, sport, ecn_encap(pkt->tos));
	vxlan_fill(&tunnel.vxlan, &tunnel.inner, endpoint, machine,
		   pkt->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
	tunnel.ip.saddr = v4_from_addr(&machine->underlay);
	tunnel.ip.daddr = v4_from_addr(&endpoint->vtep);
	tunnel.ip.tos = ecn_encap(pkt->tos);
	tunnel.udp.source = sport;
	tunnel.udp.dest = bpf_htons(VXLAN_PORT);
	outer_fill(&tunnel, pkt->ip_len);
	err = outer_room(ctx, OUTER_LEN);
	return err ?: ctx_header_store(ctx, 0, &tunnel, sizeof(tunnel));
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

#endif
