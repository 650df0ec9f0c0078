/* vxlan.h: add and remove the 50 outer bytes of VXLAN over IPv4 (RFC 7348), as Linux's own vxlan
 * device expects them.
 *
 * That device drops any reserved bit, and TCP behind a broadcast or foreign inner MAC (research:
 * e6), hence real MACs and a header of exactly "VNI valid". The outer UDP checksum is 0: with GSO
 * it could not be anything else. */
#ifndef UNILB_VXLAN_H
#define UNILB_VXLAN_H

#include "ecn.h"
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
static __always_inline int vxlan_push(struct __sk_buff *skb, const struct endpoint *endpoint,
				      const struct machine *machine, __be16 sport, u8 tos)
{
	u32 len = skb->len - ETH_LEN + OUTER_LEN;
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

	/* The route's MTU already keeps segments small enough: FIXED_GSO leaves gso_size alone. */
	err = bpf_skb_adjust_room(
	    skb, OUTER_LEN, BPF_ADJ_ROOM_MAC,
	    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		BPF_F_ADJ_ROOM_ENCAP_L2(ETH_LEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH);
	err = err ?: bpf_skb_store_bytes(skb, 0, &tunnel, sizeof(tunnel), 0);
	return err
		   ?: bpf_l3_csum_replace(skb, ETH_LEN + IPV4_CSUM, 0,
					  bpf_csum_diff(0, 0, (__be32 *)&tunnel.ip, IPV4_LEN, 0),
					  0);
}

/* Takes the outer headers off again; the outer Ethernet header becomes the inner packet's. */
static __always_inline int vxlan_pop(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -OUTER_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
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

#endif
