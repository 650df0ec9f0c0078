/* dsr.h: VIPs whose targets answer their clients themselves. A client's packet goes unchanged, in a
 * tunnel, to the target that its session or the ring names. */
#ifndef UNILB_DSR_H
#define UNILB_DSR_H

#include "refuse.h"
#include "steer.h"
#include "vxlan.h"

/* Notes that a client's packet passed, as session_touch() does with two halves. Whoever speaks
 * after his SYN has been answered: that stands for the other direction, which does not pass here.
 */
static __always_inline void dsr_touch(struct session *session, const struct packet *pkt)
{
	session->last_seen_ns = coarse_ns();
	session->packets += 1;
	session->bytes += pkt->ip_len;
	account_packet(session, pkt);
	if (pkt->ack && !pkt->rst)
		session->ack = pkt->ack_seq;
	session->tcp_seen =
	    (session->tcp_seen & ~SEEN_RST) | seen_of(pkt) | (pkt->syn ? 0 : SEEN_PEER);
}

/* Sends the packet, its TTL lowered, through the tunnel to `to`. Returns a verdict or a negative
 * drop reason. */
static __always_inline int dsr_send(ctx_t *ctx, const struct packet *pkt,
				    const struct machine *machine, const struct addr *to,
				    __be16 sport)
{
	u32 mtu = tunnel_mtu(to, machine->mtu, GUE_LEN);

	if (wire_len(ctx, pkt) > mtu)
		return refuse_too_big(ctx, pkt, mtu);
	if (rewrite_ttl(ctx, pkt))
		return -DROP_INTERNAL;
	if (gue_push(ctx, &machine->underlay, to, sport, pkt->tos))
		return -DROP_ENCAP;
	count(EVENT_DSR_SENT);
	return forward_tunnel(ctx, machine, to, pkt->ip_len + GUE_LEN);
}

/* Finds the target that had sent from a DSR VIP what an ICMP error quotes. Returns DROP_NONE, or
 * why there is none; DROP_NO_SERVICE says that the VIP is not of that kind. */
static __always_inline int dsr_sender(const struct quote *quote, struct addr *to)
{
	struct flow flow = {}, reply = {};
	struct session *session, *fresh;
	struct service *service;
	int reason;

	flow.saddr = quote->flow.daddr;
	flow.daddr = quote->flow.saddr;
	flow.sport = quote->flow.dport;
	flow.dport = quote->flow.sport;
	flow.proto = quote->flow.proto;
	session = sessions.lookup(&flow);
	if (session) {
		*to = session->peer.saddr;
		return session->direction == DIRECTION_ONLY ? DROP_NONE : DROP_NO_SERVICE;
	}
	service = service_of(&flow.daddr, flow.dport, flow.proto);
	fresh = session_blank();
	if (!service || service->mode != FORWARDING_DSR || !fresh)
		return DROP_NO_SERVICE;
	reason = steer(service, &flow, &reply, fresh);
	*to = reply.saddr;
	return reason;
}

#endif
