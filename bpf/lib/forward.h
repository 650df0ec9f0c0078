/* forward.h: send a rewritten packet on its way. The other header, beside ctx.h, that knows the
 * hook. */
#ifndef UNILB_FORWARD_H
#define UNILB_FORWARD_H

#include "outer.h"
#include "verdict.h"

#define FAMILY_V4 2  /* AF_INET */
#define FAMILY_V6 10 /* AF_INET6 */

/* What an XDP program leaves in front of a packet, in its metadata, for neigh_ingress. */
struct unresolved {
	u32 magic;
	u32 ifindex; /* where it leaves */
};
#define UNRESOLVED_MAGIC 0x6e656967

#ifndef UNILB_XDP
/* BCC 0.26 declares this helper without its length argument (so does its master), and a call by
 * that prototype fails to verify. The number is the kernel's. */
static int (*redirect_neigh)(u32 ifindex, void *params, int len,
			     u64 flags) = (void *)BPF_FUNC_redirect_neigh;

static __always_inline int send_out(ctx_t *ctx, u32 ifindex)
{
	return bpf_redirect(ifindex, 0);
}

static __always_inline int send_unresolved(ctx_t *ctx, u32 ifindex)
{
	count(EVENT_NEIGH_SLOW);
	return redirect_neigh(ifindex, 0, 0, 0);
}
#else
static __always_inline int send_out(ctx_t *ctx, u32 ifindex)
{
	struct machine *self;
	u32 zero = 0;

	self = machine.lookup(&zero);
	if (ifindex == ctx->ingress_ifindex && !(self && self->xdp_redirect))
		return XDP_TX;
	return bpf_redirect(ifindex, 0);
}

/* XDP cannot ask for a neighbour. The finished packet goes up with a note in front of it, and
 * neigh_ingress on the same device hands it to the kernel, which asks and then sends it. Counted
 * there. A driver that carries no metadata cannot: it drops until somebody else has asked. */
static __always_inline int send_unresolved(ctx_t *ctx, u32 ifindex)
{
	struct unresolved *note;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return -DROP_NO_NEIGHBOUR;
	note = (void *)(long)ctx->data_meta;
	if ((void *)(note + 1) > (void *)(long)ctx->data)
		return -DROP_NO_NEIGHBOUR;
	note->magic = UNRESOLVED_MAGIC;
	note->ifindex = ifindex;
	return XDP_PASS;
}
#endif

struct route {
	u32 ifindex;
	u32 mtu; /* when the packet was too big for it */
	u8 macs[12];
	u8 unresolved; /* the next hop's MAC is not known */
};

/* Finds the way of a packet of `ip_len` bytes that leaves as `flow`, as the kernel's own forwarding
 * would. Needs forwarding enabled on the device it came in by. Returns enum drop_reason. */
static __always_inline int route_find(ctx_t *ctx, u32 ip_len, const struct flow *flow,
				      struct route *route)
{
	struct bpf_fib_lookup fib = {};
	int err;

	fib.l4_protocol = flow->proto;
	fib.sport = flow->sport;
	fib.dport = flow->dport;
	fib.ifindex = ctx_ifindex(ctx);
	fib.tot_len = CTX_HAS_GSO(ctx) ? 0 : ip_len;
	if (addr_is_v4(&flow->daddr)) {
		fib.family = FAMILY_V4;
		fib.ipv4_src = v4_from_addr(&flow->saddr);
		fib.ipv4_dst = v4_from_addr(&flow->daddr);
	} else {
		fib.family = FAMILY_V6;
		__builtin_memcpy(fib.ipv6_src, &flow->saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, &flow->daddr, 16);
	}
	err = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	route->ifindex = fib.ifindex;
	route->unresolved = err == BPF_FIB_LKUP_RET_NO_NEIGH;
	if (err == BPF_FIB_LKUP_RET_FRAG_NEEDED) {
		route->mtu = fib.mtu_result;
		return DROP_TOO_BIG;
	}
	if (err != BPF_FIB_LKUP_RET_SUCCESS && !route->unresolved)
		return DROP_NO_ROUTE;
	__builtin_memcpy(route->macs, fib.dmac, 6);
	__builtin_memcpy(route->macs + 6, fib.smac, 6);
	return DROP_NONE;
}

/* Sends the packet that way. Returns a verdict or a negative drop reason. */
static __always_inline int route_send(ctx_t *ctx, struct route *route)
{
	if (route->unresolved)
		return send_unresolved(ctx, route->ifindex);
	if (ctx_store(ctx, 0, route->macs, sizeof(route->macs)))
		return -DROP_INTERNAL;
	return send_out(ctx, route->ifindex);
}

/* Returns the flow of a packet that leaves as the other end of `peer`. */
static __always_inline struct flow reversed(const struct flow *peer)
{
	struct flow flow = {.saddr = peer->daddr,
			    .daddr = peer->saddr,
			    .sport = peer->dport,
			    .dport = peer->sport,
			    .proto = peer->proto};
	return flow;
}

/* Sends a VXLAN packet of `ip_len` bytes to its VTEP. Returns a verdict or a negative drop reason.
 */
static __always_inline int forward_tunnel(ctx_t *ctx, const struct machine *machine,
					  const struct addr *vtep, u32 ip_len)
{
#ifdef UNILB_XDP
	struct flow flow = {
	    .saddr = *underlay(machine, vtep), .daddr = *vtep, .proto = IPPROTO_UDP};
	struct route route = {};
	int reason = route_find(ctx, ip_len, &flow, &route);

	return reason ? -reason : route_send(ctx, &route);
#else
	if (CTX_HAS_GSO(ctx) && !addr_is_v4(vtep))
		return bpf_redirect(machine->segments_ifindex, 0);
	return redirect_neigh(machine->underlay_ifindex, 0, 0, 0);
#endif
}

#endif
