/* splice.h: a decided connection carried between its two ends.
 *
 * Both ends speak TCP with each other through numbers that differ by constants: what is in flight
 * is theirs to repeat, order and acknowledge, and nothing is kept here but how far each has come.
 */
#ifndef UNILB_SPLICE_H
#define UNILB_SPLICE_H

#include "forward.h"
#include "splice_state.h"
#include "vxlan.h"

/* Returns how the numbers of this way change; learns the difference of the two clocks at its first
 * timestamp: the receiver was last sent clock_base by our socket, and time has gone on since. */
static __always_inline void splice_shift(struct splice *splice, u32 way, struct segment *segment)
{
	struct shift *shift = &segment->shift;
	u32 back = !way;

	if (segment->ts_at && !(splice->flags & (way ? SPLICE_TS_DOWN : SPLICE_TS_UP))) {
		u32 now = splice->clock_base[way & 1] +
			  (u32)((bpf_ktime_get_ns() - splice->created_ns) / 1000000) + 1;

		splice->clock[way & 1] = now - segment->tsval;
		splice->flags |= way ? SPLICE_TS_DOWN : SPLICE_TS_UP;
	}
	shift->seq = splice->delta[way & 1];
	shift->ack = splice->delta[back & 1];
	shift->ts = splice->clock[way & 1];
	shift->ts_echo = splice->clock[back & 1];
	shift->has_echo = !!(splice->flags & (back ? SPLICE_TS_DOWN : SPLICE_TS_UP));
	shift->window_from = splice->scale_from[way & 1];
	shift->window_to = splice->scale_to[way & 1];
}

/* Sends a packet that is addressed to either end out of the underlay device. `from`: the flow of
 * what its receiver sends. */
static __always_inline int splice_send(ctx_t *ctx, const struct machine *machine,
				       const struct flow *from, u32 ip_len)
{
#ifdef UNILB_XDP
	struct route *route = 0;
	int reason = route_find(ctx, ip_len, from, &route);

	return reason ? -reason : route_send(ctx, route);
#else
	return redirect_neigh(machine->underlay_ifindex, 0, 0, 0);
#endif
}

/* Tells the sender that the way on takes packets of `mtu` bytes only. */
static __always_inline int splice_too_big(ctx_t *ctx, const struct packet *pkt,
					  const struct machine *machine, u32 mtu)
{
	if (!icmp_allowed() || icmp_too_big(ctx, pkt, mtu))
		return -DROP_TOO_BIG;
	return splice_send(ctx, machine, &pkt->flow, pkt->l4 - pkt->l3 + ICMP_LEN + QUOTE_LEN);
}

/* Writes everything that makes the packet the other leg's. Returns 0 or a negative errno. */
static __always_inline int splice_rewrite(ctx_t *ctx, struct splice *splice, u32 way,
					  const struct packet *pkt, struct segment *segment)
{
	struct addr ends[2] = {segment->peer.daddr, segment->peer.saddr};

	splice_shift(splice, way, segment);
	segment_shift(segment, pkt);
	if (way == UP && pkt->syn)
		segment_probe(segment, splice->acked[DOWN],
			      splice->acked[UP] - splice->delta[DOWN]);
	return rewrite_addresses(ctx, pkt, ends, 1) ?: segment_write(ctx, pkt, segment);
}

/* Returns the splice's endpoint in its VPC, wherever that is now; NULL when it is gone. */
static __always_inline struct endpoint *splice_endpoint(const struct splice *splice)
{
	struct endpoint *endpoint = endpoints.lookup((struct addr *)&splice->unique_ip);

	return endpoint && endpoint->vni == splice->from[DOWN].vni &&
		       addr_equal(&endpoint->addr, &splice->from[DOWN].saddr)
		   ? endpoint
		   : 0;
}

/* The rewritten packet to its endpoint in a VPC. */
static __always_inline int splice_to_vpc(ctx_t *ctx, const struct splice *splice,
					 const struct packet *pkt, const struct machine *machine)
{
	struct endpoint *endpoint = splice_endpoint(splice);

	if (!endpoint)
		return -DROP_STALE_ENDPOINT;
	if (vxlan_push(ctx, pkt, endpoint, machine, splice->tunnel_sport))
		return -DROP_ENCAP;
	count(EVENT_ENCAP);
	return forward_tunnel(ctx, machine, &endpoint->vtep,
			      pkt->ip_len + outer_len(&endpoint->vtep));
}

/* Writes to `segment` how long a packet the way on takes, when this one is longer; else 0. Returns
 * a drop reason. In memory, as everything that the guard's verification need not tell apart. */
static __always_inline int splice_fits(ctx_t *ctx, const struct splice *splice, u32 way,
				       const struct packet *pkt, struct segment *segment,
				       const struct machine *machine)
{
	struct endpoint *endpoint;

	segment->mtu = 0;
	if (way == UP && splice->flags & SPLICE_VPC) {
		endpoint = splice_endpoint(splice);
		if (!endpoint)
			return DROP_STALE_ENDPOINT;
		segment->mtu = vxlan_exceeds(endpoint, wire_len(ctx, pkt), pkt->v6);
	} else if (wire_len(ctx, pkt) > machine->mtu) {
		segment->mtu = machine->mtu;
	}
	return DROP_NONE;
}

/* Carries a packet of either end that is out of whatever tunnel it came by. Returns a verdict or a
 * negative drop reason. */
static __always_inline int splice_carry(ctx_t *ctx, u32 id, struct splice *splice, u32 way,
					const struct packet *pkt, const struct machine *machine)
{
	struct segment *segment;
	struct head *head;
	u32 zero = 0;
	int step;

	way &= 1;
	segment = segment_read(ctx, pkt);
	head = heads.lookup(&zero);
	if (!segment || !head)
		return -DROP_MALFORMED;
	segment->payload = pkt->ip_len - (pkt->l4 - pkt->l3) - pkt->tcp_doff * 4;
	segment->payload_at = pkt->l4 + pkt->tcp_doff * 4;
	segment->tsval = 0;
	if (!(splice->flags & SPLICE_TIMESTAMPS))
		segment->ts_at = 0;
	if (segment->ts_at)
		segment->tsval = load_u32(&segment->old.options[OPTION_AT(segment->ts_at)]);
	if (pkt->ttl <= 1)
		return -DROP_TTL_EXPIRED;
	step = splice_fits(ctx, splice, way, pkt, segment, machine);
	if (step)
		return -step;
	if (segment->mtu)
		return splice_too_big(ctx, pkt, machine, segment->mtu);
	forget();
	step = splice_step(ctx, id, splice, way, pkt, segment, head);
	if (step == STEP_PASS)
		return VERDICT_PASS;
	if (step < 0)
		return step;
	segment->peer = splice->from[!way];
	if (splice_rewrite(ctx, splice, way, pkt, segment))
		return -DROP_INTERNAL;
	if (way == UP && splice->flags & SPLICE_VPC)
		return splice_to_vpc(ctx, splice, pkt, machine);
	return splice_send(ctx, machine, &segment->peer, pkt->ip_len);
}

#endif
