/* l4.h: the L4 tier. What an L4 node does with a packet that its device receives.
 *
 * client -> VIP: session, or for a first packet a new one towards the target that the ring names;
 * leaves from a local address with the client's own in a TOA option. A target is a gateway or a
 * backend, classic or in a VPC. target -> local address: back to the client, from the VIP. A DSR
 * VIP's packets go unchanged (dsr.h). Packets for addresses that are not the datapath's pass. */
#ifndef UNILB_L4_H
#define UNILB_L4_H

#include "decap.h"
#include "deliver.h"
#include "l4_error.h"
#include "mss.h"
#include "toa.h"

/* The session's target is in a VPC: into its VNI. */
static __always_inline int to_host(ctx_t *ctx, struct packet *pkt, const struct machine *machine,
				   const struct flow *peer, __be16 tunnel_sport, u8 is_untold)
{
	struct host_key key = {.addr = peer->saddr, .vni = peer->vni};
	struct endpoint *host = hosts.lookup(&key);
	u32 mtu;

	if (!host)
		return -DROP_STALE_ENDPOINT;
	mtu = vxlan_exceeds(host, wire_len(ctx, pkt), pkt->v6);
	if (mtu)
		return refuse_too_big(ctx, pkt, mtu);
	if (is_untold && toa_write(ctx, pkt, machine->toa_kind, host->mtu))
		return -DROP_INTERNAL;
	if (rewrite(ctx, pkt, peer, 1))
		return -DROP_INTERNAL;
	if (vxlan_push(ctx, pkt, host, machine, tunnel_sport))
		return -DROP_ENCAP;
	count(EVENT_ENCAP);
	return forward_tunnel(ctx, machine, &host->vtep, pkt->ip_len + outer_len(&host->vtep));
}

/* The session's target is a gateway or a classic backend. */
static __always_inline int to_classic(ctx_t *ctx, struct packet *pkt, const struct machine *machine,
				      const struct flow *peer, u8 is_untold)
{
	struct route *route = 0;
	int reason;

	reason = route_find(ctx, pkt->ip_len, peer, &route);
	if (reason == DROP_TOO_BIG)
		return refuse_too_big(ctx, pkt, route->mtu);
	if (reason)
		return -reason;
	if (is_untold && toa_write(ctx, pkt, machine->toa_kind, machine->mtu))
		return -DROP_INTERNAL;
	if (rewrite(ctx, pkt, peer, 1))
		return -DROP_INTERNAL;
	return route_send(ctx, route);
}

/* From a client to its target. `session`: what the flow was found to be, if anything. */
static __always_inline int to_target(ctx_t *ctx, struct scratch *room, struct session *session,
				     const struct machine *machine)
{
	struct packet *pkt = &room->outer;
	struct flow *peer = &room->peer;
	int reason = DROP_INTERNAL;
	u8 is_untold;

	session = vip_session(pkt, session, machine, &reason);
	if (!session)
		return -reason;
	*peer = session->peer;
	if (session->direction == DIRECTION_ONLY) {
		dsr_touch(session, pkt);
		return dsr_send(ctx, pkt, machine, &peer->saddr, session->tunnel_sport);
	}
	session_touch(session, pkt);
	is_untold = pkt->flow.proto == IPPROTO_TCP && !(session->tcp_seen & SEEN_PEER) &&
		    !pkt->syn && !pkt->rst;
	if (peer->vni)
		return to_host(ctx, pkt, machine, peer, session->tunnel_sport, is_untold);
	return to_classic(ctx, pkt, machine, peer, is_untold);
}

/* From a target to its client. The packet, out of whatever tunnel it came by, is `pkt`. */
static __always_inline int to_client(ctx_t *ctx, struct packet *pkt, const struct flow *peer,
				     u32 mtu)
{
	struct route *route = 0;
	int reason;

	reason = route_find(ctx, pkt->ip_len, peer, &route);
	if (reason)
		return -reason;
	if (pkt->flow.proto == IPPROTO_TCP && pkt->syn &&
	    mss_clamp(ctx, pkt, toa_mss(mtu, pkt->v6)))
		return -DROP_INTERNAL;
	if (rewrite(ctx, pkt, peer, 1))
		return -DROP_INTERNAL;
	return route_send(ctx, route);
}

/* From a target to this node itself, the answer to a probe. */
static __always_inline int to_self(ctx_t *ctx, struct packet *pkt, const struct machine *machine,
				   const struct flow *peer)
{
	return rewrite(ctx, pkt, peer, 0) ? -DROP_INTERNAL : deliver(ctx, machine);
}

static __always_inline int answer_ping(ctx_t *ctx, const struct packet *pkt)
{
	struct route *route = 0;
	int reason = route_find(ctx, pkt->ip_len, &pkt->flow, &route);

	if (reason)
		return -reason;
	return icmp_answer(ctx, pkt) ? -DROP_INTERNAL : route_send(ctx, route);
}

/* Says whose business the packet is: enum owned, or 0 when it is none of ours. A session says it
 * without asking: one whose VIP is published no longer lives on until its target ends it. */
static __always_inline u32 owner(ctx_t *ctx, const struct packet *pkt, int parsed,
				 const struct session *session, const struct machine *machine)
{
	u32 *ours;

	if (session)
		return session->direction == DIRECTION_REPLY ? OWNED_LADDR : OWNED_VIP;
	ours = owned.lookup((struct addr *)&pkt->flow.daddr);
	if (!ours) {
		if (parsed == PARSED_ICMP_ERROR && is_ours(pkt, machine))
			path_mtu_learn(ctx, pkt, machine);
		return 0;
	}
	/* Neighbour discovery of an address that is on the device too. */
	return parsed == PARSED_PROTOCOL && pkt->flow.proto == PROTO_ICMP6 ? 0 : *ours;
}

/* Returns a verdict or a negative drop reason. */
static __always_inline int l4(ctx_t *ctx, struct scratch *room)
{
	struct packet *pkt = &room->outer;
	struct session *session = 0;
	struct machine *self;
	u32 zero = 0, ours, tunnel_len = 0;
	int parsed, reason = 0, verdict = 0;

	pull(ctx, PARSE_LEN);
	parsed = parse_frame(ctx, 0, pkt);
	self = machine.lookup(&zero);
	if (!self)
		return VERDICT_PASS;
	if (is_tunnel(pkt, parsed, self)) {
		ours = OWNED_TUNNEL;
	} else {
		session = parsed == PARSED_OK ? sessions.lookup(&pkt->flow) : 0;
		ours = owner(ctx, pkt, parsed, session, self);
	}
	if (!ours)
		return VERDICT_PASS;
	if (ours == OWNED_TUNNEL) {
		reason = decap_check(ctx, pkt, self, &room->inner, &parsed);
		pkt = &room->inner;
	} else if (parsed != PARSED_OK && parsed != PARSED_ICMP_ERROR) {
		reason = unparsed_reason(parsed);
	}
	if (reason != DROP_NONE)
		return -reason;
	if (pkt->ttl <= 1)
		return -DROP_TTL_EXPIRED;
	if (parsed == PARSED_ICMP_ERROR) {
		if (ours == OWNED_TUNNEL)
			reason = decap(ctx, &room->outer, pkt);
		if (ours == OWNED_VIP && error_to_target(ctx, pkt, self, &verdict) == DROP_NONE)
			return verdict;
		return reason ? -reason : error_onward(ctx, pkt, self);
	}
	if (ours == OWNED_VIP)
		return pkt->is_echo && pkt->opens ? answer_ping(ctx, pkt)
						  : to_target(ctx, room, session, self);
	if (ours == OWNED_TUNNEL)
		session = sessions.lookup(&pkt->flow);
	if (!session)
		return -DROP_NO_SESSION;
	session_touch(session, pkt);
	room->peer = session->peer;
	if (ours == OWNED_TUNNEL) {
		tunnel_len = room->outer.v6 ? OUTER6_LEN : OUTER_LEN;
		reason = decap(ctx, &room->outer, pkt);
	}
	if (reason != DROP_NONE)
		return -reason;
	if (session->target == PROBE_TARGET)
		return to_self(ctx, pkt, self, &room->peer);
	return to_client(ctx, pkt, &room->peer, self->mtu - tunnel_len);
}

#endif
