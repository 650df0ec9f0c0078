/* forward.h: send a rewritten packet on its way. The other header, beside ctx.h, that knows the
 * hook. */
#ifndef UNILB_FORWARD_H
#define UNILB_FORWARD_H

#include "outer.h"
#include "route.h"
#include "verdict.h"

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
	if ((void *)(note + 1) > ctx_data(ctx))
		return -DROP_NO_NEIGHBOUR;
	note->magic = UNRESOLVED_MAGIC;
	note->ifindex = ifindex;
	return XDP_PASS;
}
#endif

/* Sends the packet that way. Returns a verdict or a negative drop reason. */
static __always_inline int route_send(ctx_t *ctx, struct route *route)
{
	if (route->unresolved)
		return send_unresolved(ctx, route->ifindex);
	if (ctx_header_store(ctx, 0, route->macs, sizeof(route->macs)))
		return -DROP_INTERNAL;
	return send_out(ctx, route->ifindex);
}

/* Sends a VXLAN packet of `ip_len` bytes to its VTEP. Returns a verdict or a negative drop reason.
 */
static __always_inline int forward_tunnel(ctx_t *ctx, const struct machine *machine,
					  const struct addr *vtep, u32 ip_len)
{
#ifdef UNILB_XDP
	struct flow from = {
	    .saddr = *vtep, .daddr = *underlay(machine, vtep), .proto = IPPROTO_UDP};
	struct route *route = 0;
	int reason = route_find(ctx, ip_len, &from, &route);

	return reason ? -reason : route_send(ctx, route);
#else
	if (CTX_HAS_GSO(ctx) && !addr_is_v4(vtep))
		return bpf_redirect(machine->segments_ifindex, 0);
	return redirect_neigh(machine->underlay_ifindex, 0, 0, 0);
#endif
}

#endif
