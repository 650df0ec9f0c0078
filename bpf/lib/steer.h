/* steer.h: which session a packet to a VIP belongs to, and where a new one goes. Session first,
 * ring second: a ring that changes moves no session. */
#ifndef UNILB_STEER_H
#define UNILB_STEER_H

#include "ring.h"

/* Finds where a new session goes. Returns enum drop_reason. */
static __always_inline int steer(const struct packet *pkt, struct flow *reply,
				 struct session *session)
{
	struct service_key key = {pkt->flow.daddr, pkt->flow.dport, pkt->flow.proto, 0};
	struct service *service = services.lookup(&key);
	struct target *target;
	u32 index;

	if (!service)
		return DROP_NO_SERVICE;
	index = ring_target(service, &pkt->flow);
	target = index ? targets.lookup(&index) : 0;
	if (!target)
		return DROP_NO_TARGET;
	reply->saddr = target->addr;
	reply->sport = target->port;
	reply->vni = target->vni;
	reply->proto = pkt->flow.proto;
	session->target = index;
	session->target_generation = target->generation;
	session->account = service->account;
	return DROP_NONE;
}

static __always_inline int target_is_down(const struct session *session)
{
	u32 index = session->target;
	struct target *target = index ? targets.lookup(&index) : 0;

	return target && target->state == TARGET_DOWN &&
	       target->generation == session->target_generation;
}

/* Returns the session that this packet continues or opens, or NULL with *reason saying why there is
 * none. */
static __always_inline struct session *vip_session(struct packet *pkt,
						   const struct machine *machine, int *reason)
{
	struct session *session = sessions.lookup(&pkt->flow);
	int is_tcp = pkt->flow.proto == IPPROTO_TCP;
	struct session *fresh;
	struct flow reply = {};

	if (session && is_tcp && pkt->opens && session_closing(session)) {
		session_remove(&pkt->flow, session);
		count(EVENT_SESSION_REOPENED);
		session = 0;
	}
	if (session && target_is_down(session)) {
		*reason = DROP_TARGET_DOWN;
		if (!pkt->opens)
			return 0;
		/* A datagram, or a client's new attempt: another target serves it. */
		session_remove(&pkt->flow, session);
		session = 0;
	}
	if (session)
		return session;
	*reason = DROP_NO_SESSION;
	fresh = pkt->opens ? session_blank() : 0;
	if (!fresh)
		return 0;
	*reason = steer(pkt, &reply, fresh);
	if (*reason != DROP_NONE)
		return 0;
	*reason = session_open(pkt, &reply, machine, fresh);
	if (*reason != DROP_NONE)
		return 0;
	*reason = DROP_NO_SESSION;
	return sessions.lookup(&pkt->flow);
}

#endif
