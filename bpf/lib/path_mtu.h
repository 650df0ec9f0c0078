/* path_mtu.h: how long a packet may be that goes into a tunnel, by the device, by the endpoint, and
 * by what routers on the way have said. */
#ifndef UNILB_PATH_MTU_H
#define UNILB_PATH_MTU_H

#include "gue.h"
#include "icmp.h"
#include "outer.h"
#include "verdict.h"

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
