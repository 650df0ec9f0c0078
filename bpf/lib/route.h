/* route.h: which way a packet leaves, as the kernel's own forwarding would have it. */
#ifndef UNILB_ROUTE_H
#define UNILB_ROUTE_H

#include "addr.h"
#include "maps.h"

#define FAMILY_V4 2  /* AF_INET */
#define FAMILY_V6 10 /* AF_INET6 */

struct route {
	u32 ifindex;
	u32 mtu; /* of the way; when the packet was too big for it, what it may be */
	u8 macs[12];
	u8 unresolved; /* the next hop's MAC is not known */
};

/* Ways that were found a moment ago, by everything that a rule or a choice among paths may look at.
 * One to a place: the flow that comes last has it. A changed route or MAC counts for all packets
 * after ROUTE_TICKS at the latest (100 ms at 250 Hz); what was not found is asked for each time. */
#define ROUTE_TICKS 25
#define ROUTES	    1024 /* 88 KiB a CPU: stays in its second cache */
struct known_route {
	struct flow from;
	u32 in; /* the device it came in by */
	u64 tick;
	struct route route;
};
BPF_PERCPU_ARRAY(routes, struct known_route, ROUTES);

static __always_inline u32 route_place(const struct flow *flow)
{
	const u32 *word = (const u32 *)flow;
	u32 hash = word[10]; /* the protocol */

#pragma unroll
	for (int i = 0; i < 9; i++)
		hash = (hash ^ word[i]) * 0x9e3779b1;
	return (hash >> 16 ^ hash) % ROUTES;
}

static __always_inline int flow_equal(const struct flow *a, const struct flow *b)
{
	const u32 *x = (const u32 *)a, *y = (const u32 *)b;
	u32 differ = 0;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*a) / 4); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

/* Asks the kernel. Returns enum drop_reason. */
static __always_inline int route_ask(ctx_t *ctx, u32 ip_len, u32 in, const struct flow *from,
				     struct route *route)
{
	struct bpf_fib_lookup *fib;
	struct scratch *room;
	u32 zero = 0;
	int err;

	room = scratch.lookup(&zero);
	if (!room)
		return DROP_INTERNAL;
	fib = &room->fib;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->l4_protocol = from->proto;
	fib->sport = from->dport;
	fib->dport = from->sport;
	fib->ifindex = in;
	fib->tot_len = CTX_HAS_GSO(ctx) ? 0 : ip_len;
	if (addr_is_v4(&from->saddr)) {
		fib->family = FAMILY_V4;
		fib->ipv4_src = v4_from_addr(&from->daddr);
		fib->ipv4_dst = v4_from_addr(&from->saddr);
	} else {
		fib->family = FAMILY_V6;
		__builtin_memcpy(fib->ipv6_src, &from->daddr, 16);
		__builtin_memcpy(fib->ipv6_dst, &from->saddr, 16);
	}
	err = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	route->ifindex = fib->ifindex;
	route->mtu = fib->mtu_result;
	route->unresolved = err == BPF_FIB_LKUP_RET_NO_NEIGH;
	if (err == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return DROP_TOO_BIG;
	if (err != BPF_FIB_LKUP_RET_SUCCESS && !route->unresolved)
		return DROP_NO_ROUTE;
	__builtin_memcpy(route->macs, fib->dmac, 6);
	__builtin_memcpy(route->macs + 6, fib->smac, 6);
	return DROP_NONE;
}

/* The device that the kernel is told the packet came in by: it answers only for one that forwards.
 * A gateway's does not, lest anybody be routed to the unique IPs: it sends as its sockets do. */
#ifdef ROUTE_AS_OURS
#define ROUTE_IN(ctx) 1 /* lo, in every namespace */
#else
#define ROUTE_IN(ctx) ctx_ifindex(ctx)
#endif

/* Finds the way of a packet of `ip_len` bytes; `from` is the flow of what its receiver sends. Needs
 * forwarding enabled on the device of ROUTE_IN(). Returns enum drop_reason; `*route` is this CPU's
 * until it asks again, and set on DROP_NONE and DROP_TOO_BIG. */
static __always_inline int route_find(ctx_t *ctx, u32 ip_len, const struct flow *from,
				      struct route **route)
{
	u32 place, in = ROUTE_IN(ctx);
	struct known_route *known;
	u64 tick = bpf_jiffies64();
	int reason;

	place = route_place(from);
	known = routes.lookup(&place);
	if (!known)
		return DROP_INTERNAL;
	*route = &known->route;
	if (tick - known->tick < ROUTE_TICKS && known->in == in &&
	    (CTX_HAS_GSO(ctx) || ip_len <= known->route.mtu) && flow_equal(&known->from, from))
		return DROP_NONE;
	known->tick = 0;
	reason = route_ask(ctx, ip_len, in, from, &known->route);
	if (reason || known->route.unresolved)
		return reason;
	/* The way's own MTU is said of a packet with a length alone. */
	if (CTX_HAS_GSO(ctx) || !ip_len)
		known->route.mtu = 0;
	known->from = *from;
	known->in = in;
	known->tick = tick;
	return DROP_NONE;
}

#endif
