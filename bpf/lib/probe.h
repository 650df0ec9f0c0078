/* probe.h: an L4 node's own connections to its targets, by the way that clients' packets take.
 *
 * An address whose last 16 bits are a target's index stands for that target, and is routed to the
 * device on whose egress this is: what a local socket sends there becomes a session like a
 * client's, from a local address, in the target's VNI or tunnel. A DSR VIP's target is asked for
 * the VIP itself. The answers come back as all others, and l4.h gives them to the socket. */
#ifndef UNILB_PROBE_H
#define UNILB_PROBE_H

#include "l4.h"

/* Returns the session that this packet continues or opens, or NULL with *reason saying why there is
 * none. An index that means another target since begins anew. */
static __always_inline struct session *probe_session(struct packet *pkt,
						     const struct target *target, u8 is_dsr,
						     const struct machine *machine, int *reason)
{
	struct session *session = sessions.lookup(&pkt->flow);
	struct session *fresh;
	struct flow reply = {};

	if (session && pkt->opens &&
	    (session_closing(session) || session->target_generation != target->generation)) {
		session_remove(&pkt->flow, session);
		session = 0;
	}
	if (session)
		return session;
	*reason = DROP_NO_SESSION;
	fresh = pkt->opens ? session_blank() : 0;
	if (!fresh)
		return 0;
	fresh->target = PROBE_TARGET;
	fresh->target_generation = target->generation;
	reply.saddr = is_dsr ? target->vip : target->addr;
	reply.sport = pkt->flow.dport;
	reply.vni = target->vni;
	reply.proto = pkt->flow.proto;
	*reason = session_open(pkt, &reply, machine, fresh);
	return *reason == DROP_NONE ? sessions.lookup(&pkt->flow) : 0;
}

static __always_inline int probe(struct __sk_buff *skb, struct packet *pkt)
{
	int reason = DROP_INTERNAL, parsed;
	struct session *session;
	struct target *target;
	struct machine *self;
	struct flow peer;
	u8 is_dsr, is_untold;
	u32 zero = 0, index;

	pull(skb, PARSE_LEN);
	parsed = parse_frame(skb, 0, pkt);
	if (parsed != PARSED_OK || pkt->flow.proto != IPPROTO_TCP)
		return TC_ACT_OK; /* neighbour discovery of the device itself */
	index = pkt->flow.daddr.bytes[14] << 8 | pkt->flow.daddr.bytes[15];
	self = machine.lookup(&zero);
	target = index ? targets.lookup(&index) : 0;
	if (!self || !target || !target->port)
		return -DROP_NO_TARGET;
	is_dsr = !addr_equal(&target->vip, &(struct addr){});
	session = probe_session(pkt, target, is_dsr, self, &reason);
	if (!session)
		return -reason;
	session_touch(session, pkt);
	peer = session->peer;
	is_untold = !(session->tcp_seen & SEEN_PEER) && !pkt->syn && !pkt->rst;
	if (is_dsr)
		return rewrite(skb, pkt, &peer, 0)
			   ? -DROP_INTERNAL
			   : dsr_send(skb, pkt, self, &target->addr, session->tunnel_sport);
	if (peer.vni)
		return to_host(skb, pkt, self, &peer, session->tunnel_sport, is_untold);
	return to_classic(skb, pkt, self, &peer, is_untold);
}

#endif
