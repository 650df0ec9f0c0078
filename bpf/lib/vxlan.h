/* vxlan.h: add and remove the 50 outer bytes of VXLAN over IPv4 (RFC 7348), as Linux's own vxlan
 * device expects them.
 *
 * That device drops any reserved bit, and TCP behind a broadcast or foreign inner MAC (research:
 * e6), hence real MACs and a header of exactly "VNI valid". The outer UDP checksum is 0: with GSO
 * it could not be anything else. */
#ifndef UNILB_VXLAN_H
#define UNILB_VXLAN_H

#include "ecn.h"
#include "icmp.h"
#include "verdict.h"

#define VXLAN_PORT	 4789
#define VXLAN_LEN	 8
#define VXLAN_VNI_VALID	 0x08000000
#define OUTER_LEN	 (IPV4_LEN + UDP_LEN + VXLAN_LEN + ETH_LEN) /* what one packet grows by */
#define VXLAN_HEADER_END (ETH_LEN + OUTER_LEN)
#define OUTER_TTL	 64

struct vxlan {
	__be32 flags;
	__be32 vni; /* 24 bits, then 8 reserved */
};

/* The outer frame from its Ethernet header to the inner frame's, as written in one go. */
struct tunnel {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct vxlan vxlan;
	struct ethhdr inner;
} __attribute__((packed));
_Static_assert(sizeof(struct tunnel) == VXLAN_HEADER_END, "the outer headers");

/* Puts the packet into its endpoint's VNI. `ip_len` is the inner IPv4 length, `tos` the inner TOS.
 * The outer MACs are left to whoever sends it. Returns 0 or a negative errno. */
static __always_inline int vxlan_push(ctx_t *ctx, const struct endpoint *endpoint,
				      const struct machine *machine, __be16 sport, u8 tos)
{
	u32 len = ctx_len(ctx) - ETH_LEN + OUTER_LEN;
	struct tunnel tunnel = {};
	int err;

	tunnel.eth.h_proto = bpf_htons(ETH_P_IP);
	tunnel.ip.version = 4;
	tunnel.ip.ihl = 5;
	tunnel.ip.tos = ecn_encap(tos);
	tunnel.ip.tot_len = bpf_htons(len);
	tunnel.ip.frag_off =
	    bpf_htons(0x4000); /* never fragment the outer packet (RFC 7348 section 4.3) */
	tunnel.ip.ttl = OUTER_TTL;
	tunnel.ip.protocol = IPPROTO_UDP;
	tunnel.ip.saddr = v4_from_addr(&machine->underlay);
	tunnel.ip.daddr = v4_from_addr(&endpoint->vtep);
	tunnel.udp.source = sport;
	tunnel.udp.dest = bpf_htons(VXLAN_PORT);
	tunnel.udp.len = bpf_htons(len - IPV4_LEN);
	tunnel.vxlan.flags = bpf_htonl(VXLAN_VNI_VALID);
	tunnel.vxlan.vni = bpf_htonl(endpoint->vni << 8);
	__builtin_memcpy(tunnel.inner.h_dest, endpoint->mac, 6);
	__builtin_memcpy(tunnel.inner.h_source, machine->inner_mac, 6);
	tunnel.inner.h_proto = bpf_htons(ETH_P_IP);

	tunnel.ip.check =
	    csum_add_u16(0xffff, bpf_csum_diff(0, 0, (__be32 *)&tunnel.ip, IPV4_LEN, 0));

#ifdef UNILB_XDP
	err = bpf_xdp_adjust_head(ctx, -OUTER_LEN);
#else
	/* The route's MTU already keeps segments small enough: FIXED_GSO leaves gso_size alone. */
	err = bpf_skb_adjust_room(
	    ctx, OUTER_LEN, BPF_ADJ_ROOM_MAC,
	    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		BPF_F_ADJ_ROOM_ENCAP_L2(ETH_LEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH);
#endif
	return err ?: ctx_store(ctx, 0, &tunnel, sizeof(tunnel));
}

/* Takes the outer headers off again; an Ethernet header for the inner packet remains, to be written
 * anew. */
static __always_inline int vxlan_pop(ctx_t *ctx)
{
#ifdef UNILB_XDP
	return bpf_xdp_adjust_head(ctx, OUTER_LEN);
#else
	return bpf_skb_adjust_room(ctx, -OUTER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
#endif
}

static __always_inline int mac_equal(const u8 *a, const u8 *b)
{
	const u16 *x = (const u16 *)a, *y = (const u16 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Checks the VXLAN header at the start of the UDP payload and the frame within. Returns enum
 * drop_reason; the VNI is written on DROP_NONE. */
static __always_inline int vxlan_check(void *data, void *data_end, const struct machine *machine,
				       u32 *vni)
{
	struct tunnel *tunnel = data;

	if ((void *)(tunnel + 1) > data_end)
		return DROP_MALFORMED;
	if (tunnel->vxlan.flags != bpf_htonl(VXLAN_VNI_VALID) ||
	    tunnel->vxlan.vni & bpf_htonl(0xff))
		return DROP_VXLAN_HEADER;
	*vni = bpf_ntohl(tunnel->vxlan.vni) >> 8;
	if (!mac_equal(tunnel->inner.h_dest, machine->inner_mac))
		return DROP_INNER_MAC;
	if (tunnel->inner.h_proto != bpf_htons(ETH_P_IP))
		return DROP_INNER_PROTOCOL;
	return DROP_NONE;
}

/* Below this a router's word on the path is not believed: 576 bytes are IPv4's least. */
#define PATH_MTU_MIN (576 + OUTER_LEN)
#define PATH_MTU_NS                                                                                \
	(600ULL * 1000000000) /* the kernel's own: RFC 1191 section 6.3 says 10 minutes */

/* Learns from "fragmentation needed" about a VXLAN packet of ours. Nobody else would: the kernel
 * has no socket of that port. The stack gets the packet as well. */
static __always_inline void path_mtu_learn(ctx_t *ctx, const struct packet *pkt,
					   const struct machine *machine)
{
	struct path_mtu learnt = {};
	struct quote quote = {};
	__be16 mtu = 0;

	if (pkt->v6 || pkt->icmp_type != ICMP4_UNREACHABLE || pkt->icmp_code != ICMP4_FRAG_NEEDED ||
	    quote_read(ctx, pkt, &quote) || quote.flow.proto != IPPROTO_UDP ||
	    quote.flow.dport != bpf_htons(VXLAN_PORT) ||
	    !addr_equal(&quote.flow.saddr, &machine->underlay) ||
	    ctx_load(ctx, pkt->l4 + 6, &mtu, 2))
		return;
	learnt.mtu = bpf_ntohs(mtu);
	learnt.learnt_ns = bpf_ktime_get_ns();
	if (learnt.mtu < PATH_MTU_MIN || learnt.mtu >= machine->mtu)
		return;
	path_mtus.update(&quote.flow.daddr, &learnt);
	count(EVENT_PATH_MTU);
}

/* Returns how long an inner packet to this endpoint may be, or 0 when one of `len` bytes will do.
 */
static __always_inline u32 vxlan_exceeds(const struct endpoint *endpoint, u32 len)
{
	struct path_mtu *path;
	u32 mtu = endpoint->mtu;

	if (len + OUTER_LEN <= PATH_MTU_MIN)
		return 0;
	path = path_mtus.lookup((struct addr *)&endpoint->vtep);
	if (path && path->mtu - OUTER_LEN < mtu &&
	    bpf_ktime_get_ns() - path->learnt_ns < PATH_MTU_NS)
		mtu = path->mtu - OUTER_LEN;
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
