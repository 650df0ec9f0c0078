/* l4_error.h: ICMP errors at an L4 node, carried to the other end of the session that they are
 * about: to a DSR VIP's target, to a backend in a VPC, or to whoever is reached without a tunnel.
 */
#ifndef UNILB_L4_ERROR_H
#define UNILB_L4_ERROR_H

#include "dsr.h"
#include "vxlan.h"

/* An ICMP error about what a DSR VIP's target had sent, to that target. Returns as dsr_sender(). */
static __always_inline int error_to_target(ctx_t *ctx, struct packet *pkt,
					   const struct machine *machine, int *verdict)
{
	struct quote quote = {};
	struct addr to = {};
	int reason = quote_read(ctx, pkt, &quote);

	if (reason == DROP_NONE && !addr_equal(&quote.flow.saddr, &pkt->flow.daddr))
		reason = DROP_ICMP_QUOTE;
	reason = reason ?: dsr_sender(&quote, &to);
	if (reason == DROP_NONE)
		*verdict = dsr_send(ctx, pkt, machine, &to, tunnel_sport(&pkt->flow));
	return reason;
}

/* An ICMP error about what a backend in a VPC had sent, to that backend. One that does not fit is
 * dropped: nobody is told of an error about an error (RFC 1122 section 3.2.2). */
static __always_inline int error_to_host(ctx_t *ctx, struct packet *pkt,
					 const struct machine *machine, const struct quote *quote,
					 const struct flow *peer)
{
	struct host_key key = {.addr = peer->saddr, .vni = peer->vni};
	struct endpoint *host = hosts.lookup(&key);

	if (!host)
		return -DROP_STALE_ENDPOINT;
	if (vxlan_exceeds(host, pkt->ip_len, pkt->v6))
		return -DROP_TOO_BIG;
	if (icmp_translate(ctx, pkt, quote, peer, 1))
		return -DROP_INTERNAL;
	count(EVENT_ICMP_TRANSLATED);
	if (vxlan_push(ctx, pkt, host, machine, bpf_htons(TUNNEL_SPORT_MIN)))
		return -DROP_ENCAP;
	count(EVENT_ENCAP);
	return forward_tunnel(ctx, machine, &host->vtep, pkt->ip_len + outer_len(&host->vtep));
}

/* An ICMP error about a session's packet, to the session's other end. */
static __always_inline int error_onward(ctx_t *ctx, struct packet *pkt,
					const struct machine *machine)
{
	struct route *route = 0;
	struct quoted *found;
	u32 zero = 0;
	int reason;

	found = quoted.lookup(&zero);
	if (!found)
		return -DROP_INTERNAL;
	__builtin_memset(found, 0, sizeof(*found));
	reason = icmp_session(ctx, pkt, &found->quote, &found->peer);
	if (reason)
		return -reason;
	if (found->peer.vni)
		return error_to_host(ctx, pkt, machine, &found->quote, &found->peer);
	reason = route_find(ctx, pkt->ip_len, &found->peer, &route);
	if (reason)
		return -reason;
	if (icmp_translate(ctx, pkt, &found->quote, &found->peer, 1))
		return -DROP_INTERNAL;
	count(EVENT_ICMP_TRANSLATED);
	return route_send(ctx, route);
}

#endif
