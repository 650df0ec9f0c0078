/* steer.h: which session a packet to a VIP belongs to, and where a new one goes. Session first,
 * ring second: a ring that changes moves no session. A DSR VIP's packet without a session goes by
 * the ring alone: another L4 node may have had it, and the ring is the same on all of them. */
#ifndef UNILB_STEER_H
#define UNILB_STEER_H

#include "ring.h"

/* Finds where a new session of `flow` goes. Returns enum drop_reason. */
static __always_inline int steer(const struct service *service, const struct flow *flow,
				 struct flow *reply, struct session *session)
{
	struct target *target;
	u32 index;

	index = ring_target(service, flow);
	target = index ? targets.lookup(&index) : 0;
	if (!target)
		return DROP_NO_TARGET;
	reply->saddr = target->addr;
	reply->sport = target->port;
	reply->vni = target->vni;
	reply->proto = flow->proto;
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

static __always_inline struct service *service_of(const struct addr *vip, __be16 port, u8 proto)
{
	struct service_key key = {*vip, port, proto, 0};

	return services.lookup(&key);
}

/* Makes `fresh` a DSR VIP's session to the target that `reply` names. Returns it as it is kept when
 * the packet opens one and the table has room; otherwise it serves this packet alone. */
static __always_inline struct session *dsr_open(const struct packet *pkt, const struct flow *reply,
						struct session *fresh)
{
	struct session *kept;

	fresh->created_ns = coarse_ns();
	fresh->tunnel_sport = tunnel_sport(&pkt->flow);
	fresh->direction = DIRECTION_ONLY;
	fresh->peer = *reply;
	if (!pkt->opens || sessions.insert((struct flow *)&pkt->flow, fresh)) {
		count(EVENT_RING_ONLY);
		return fresh;
	}
	count(EVENT_SESSION_NEW);
	account_session(fresh->account);
	kept = sessions.lookup(&pkt->flow);
	return kept ?: fresh;
}

/* Returns the session that this packet continues, which is `session` if that may go on, or opens;
 * or NULL with *reason saying why there is none. */
static __always_inline struct session *vip_session(struct packet *pkt, struct session *session,
						   const struct machine *machine, int *reason)
{
	int is_tcp = pkt->flow.proto == IPPROTO_TCP;
	struct service *service;
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
	service = service_of(&pkt->flow.daddr, pkt->flow.dport, pkt->flow.proto);
	*reason = service || !pkt->opens ? DROP_NO_SESSION : DROP_NO_SERVICE;
	if (!service || (!pkt->opens && service->mode != FORWARDING_DSR))
		return 0;
	fresh = session_blank();
	if (!fresh)
		return 0;
	*reason = steer(service, &pkt->flow, &reply, fresh);
	if (*reason != DROP_NONE)
		return 0;
	if (service->mode == FORWARDING_DSR)
		return dsr_open(pkt, &reply, fresh);
	*reason = session_open(pkt, &reply, machine, fresh);
	if (*reason != DROP_NONE)
		return 0;
	*reason = DROP_NO_SESSION;
	return sessions.lookup(&pkt->flow);
}

#endif
