/* gue.h: the tunnel of DSR VIPs: GUE variant 1 (draft-ietf-intarea-gue section 4), a whole IP
 * packet behind outer IPv4 and UDP.
 *
 * Linux takes it apart by itself (`ip fou add port 6080 gue`), Katran and Unimog send it too. UDP
 * gives every session a source port of its own, by which routers and NICs spread what would be one
 * flow in IPIP. The UDP checksum is 0, as VXLAN's: with GSO it could not be anything else. */
#ifndef UNILB_GUE_H
#define UNILB_GUE_H

#include "ecn.h"
#include "quote.h"

#define GUE_PORT 6080
#define GUE_LEN	 (IPV4_LEN + UDP_LEN) /* what one packet grows by */
#define GUE_END	 (ETH_LEN + GUE_LEN)
#define GUE_TTL	 64

struct gue {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed, aligned(2)));
_Static_assert(sizeof(struct gue) == GUE_END, "the outer headers");

/* Puts the packet, whose TOS byte is `tos`, into a tunnel. The outer MACs are left to whoever sends
 * it. Returns 0 or a negative errno. */
static __always_inline int gue_push(ctx_t *ctx, const struct addr *from, const struct addr *to,
				    __be16 sport, u8 tos)
{
	u32 len = ctx_len(ctx) - ETH_LEN + GUE_LEN;
	struct gue gue = {};
	int err;

	gue.eth.h_proto = bpf_htons(ETH_P_IP);
	gue.ip.version = 4;
	gue.ip.ihl = 5;
	gue.ip.tos = ecn_encap(tos);
	gue.ip.tot_len = bpf_htons(len);
	gue.ip.frag_off = bpf_htons(0x4000); /* never fragment: the far end would have to gather */
	gue.ip.ttl = GUE_TTL;
	gue.ip.protocol = IPPROTO_UDP;
	gue.ip.saddr = v4_from_addr(from);
	gue.ip.daddr = v4_from_addr(to);
	gue.udp.source = sport;
	gue.udp.dest = bpf_htons(GUE_PORT);
	gue.udp.len = bpf_htons(len - IPV4_LEN);
	gue.ip.check = ipv4_check(&gue.ip);
#ifdef UNILB_XDP
	err = bpf_xdp_adjust_head(ctx, -GUE_LEN);
#else
	/* The target's SYN-ACK offered segments that fit: FIXED_GSO leaves gso_size alone. */
	err = bpf_skb_adjust_room(ctx, GUE_LEN, BPF_ADJ_ROOM_MAC,
				  BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
				      BPF_F_ADJ_ROOM_ENCAP_L4_UDP);
#endif
	return err ?: ctx_store(ctx, 0, &gue, sizeof(gue));
}

/* True for the tunnel's packets to this machine. */
static __always_inline int is_gue(const struct packet *outer, const struct machine *machine)
{
	return outer->flow.proto == IPPROTO_UDP && outer->flow.dport == bpf_htons(GUE_PORT) &&
	       addr_equal(&outer->flow.daddr, &machine->underlay);
}

/* Parses the packet within. Returns enum parsed. */
static __always_inline int gue_parse(ctx_t *ctx, struct packet *inner)
{
	u8 *first = ctx_data(ctx) + GUE_END;

	if ((void *)(first + 1) > ctx_data_end(ctx))
		return PARSED_MALFORMED;
	inner->l3 = GUE_END;
	switch (*first >> 4) {
	case 4:
		return parse_v4(ctx, GUE_END, inner);
	case 6:
		return parse_v6(ctx, GUE_END, inner);
	default:
		return PARSED_MALFORMED; /* variant 0 has a header here */
	}
}

/* Takes the outer headers off; the Ethernet header stays, of the inner packet's type. */
static __always_inline int gue_pop(ctx_t *ctx, struct packet *inner)
{
	__be16 type = inner->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	u8 macs[12];
	int err;

	err = ctx_load(ctx, 0, macs, sizeof(macs));
#ifdef UNILB_XDP
	err = err ?: bpf_xdp_adjust_head(ctx, GUE_LEN);
#else
	err = err ?: bpf_skb_adjust_room(ctx, -GUE_LEN, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
#endif
	inner->l3 -= GUE_LEN;
	inner->l4 -= GUE_LEN;
	err = err ?: ctx_store(ctx, 0, macs, sizeof(macs));
	return err ?: ctx_store(ctx, sizeof(macs), &type, sizeof(type));
}

#endif
