/* session.h: find, open and touch FNAT sessions.
 *
 * A session is two entries of one table, one per direction, each naming the other as its peer. Here
 * they are created; only the node removes them (userspace/node/ageing.py), and here when a SYN
 * reuses a closing session's flow. */
#ifndef UNILB_SESSION_H
#define UNILB_SESSION_H

#include "clock.h"
#include "parse.h"
#include "verdict.h"

/* Cilium found more than about 25 tries useless (PR 37389); a random second choice avoids the runs
 * of used ports that defeat a linear probe (#33074). */
#define PORT_PROBES 16

/* Outer source ports of VXLAN: the dynamic range, as RFC 7348 section 5 recommends. */
#define TUNNEL_SPORT_MIN  49152
#define TUNNEL_SPORT_MASK 0x3fff

/* Returns 32 well mixed bits of the flow: murmur3's finaliser over each word. The same on every
 * machine, so that all L4 nodes steer a flow to the same target. */
static __always_inline u32 flow_hash(const struct flow *flow)
{
	const u32 *word = (const u32 *)flow;
	u32 hash = 0x9e3779b9;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*flow) / 4); i++) {
		hash ^= word[i];
		hash ^= hash >> 16;
		hash *= 0x85ebca6b;
		hash ^= hash >> 13;
		hash *= 0xc2b2ae35;
	}
	return hash ^ (hash >> 16);
}

static __always_inline __be16 tunnel_sport(const struct flow *flow)
{
	return bpf_htons(TUNNEL_SPORT_MIN + (flow_hash(flow) & TUNNEL_SPORT_MASK));
}

/* A reset counts from the number that its receiver expects next and a little beyond (RFC 5961
 * section 3): who cannot see the connection shall not shorten its session. */
#define RST_WINDOW (1 << 20)

static __always_inline u8 seen_of(const struct packet *pkt)
{
	u8 seen = pkt->syn ? SEEN_SYN : SEEN_DATA;

	if (pkt->flow.proto != IPPROTO_TCP)
		return SEEN_DATA;
	if (pkt->fin)
		seen |= SEEN_FIN;
	if (pkt->rst)
		seen |= SEEN_RST;
	return seen;
}

static __always_inline int rst_counts(const struct packet *pkt, const struct session *peer)
{
	return peer && (!(peer->tcp_seen & SEEN_DATA) || pkt->seq - peer->ack < RST_WINDOW);
}

/* Adds the packet to the account of the session's VIP or VPC. */
static __always_inline void account_packet(const struct session *session, const struct packet *pkt)
{
	u32 index = session->account, reply = session->direction == DIRECTION_REPLY;
	struct account *account = accounts.lookup(&index);

	if (!account)
		return;
	account->packets[reply] += 1;
	account->bytes[reply] += pkt->ip_len;
}

/* Notes that the packet passed. Plain adds: two CPUs in one direction at once may lose a count,
 * never a session. A direction that goes on after its RST has not ended. */
static __always_inline void session_touch(struct session *session, const struct packet *pkt)
{
	u8 seen = session->tcp_seen, now = seen_of(pkt);
	struct session *peer;

	session->last_seen_ns = coarse_ns();
	session->packets += 1;
	session->bytes += pkt->ip_len;
	account_packet(session, pkt);
	if (pkt->ack && !pkt->rst)
		session->ack = pkt->ack_seq;
	if (!pkt->rst && !pkt->fin && !(seen & SEEN_RST) && (now & ~seen) == 0)
		return;
	peer = sessions.lookup(&session->peer);
	if (pkt->rst && !rst_counts(pkt, peer))
		now &= ~SEEN_RST;
	seen = (seen & ~SEEN_RST) | now;
	if (peer)
		peer->tcp_seen =
		    (peer->tcp_seen & ~SEEN_PEER_RST) | (seen & SEEN_DATA ? SEEN_PEER : 0) |
		    (seen & SEEN_FIN ? SEEN_PEER_FIN : 0) | (seen & SEEN_RST ? SEEN_PEER_RST : 0);
	session->tcp_seen = seen;
}

/* True when a SYN on this session's flow begins a new one: either end has said FIN or RST. */
static __always_inline int session_closing(const struct session *session)
{
	return session->tcp_seen & (SEEN_FIN | SEEN_RST | SEEN_PEER_FIN | SEEN_PEER_RST);
}

static __always_inline void session_remove(struct flow *flow, struct session *session)
{
	struct flow peer = session->peer;

	sessions.delete(flow);
	sessions.delete(&peer);
}

/* Completes `reply` with a local address and port that no other session uses towards the same
 * remote end, by inserting the reply entry: the insertion is the claim, so two CPUs never share
 * one. Returns enum drop_reason. */
static __always_inline int claim_port(const struct flow *flow, struct flow *reply,
				      const struct machine *machine, struct session *session)
{
	u32 span = machine->port_max - machine->port_min + 1;
	int v4 = addr_is_v4(&reply->saddr);
	u32 laddr_count = v4 ? machine->laddr_count : machine->laddr6_count;
	u32 first = v4 ? 0 : machine->laddr_count;
	u32 hash = flow_hash(flow);

	if (!laddr_count || !span)
		return DROP_NO_LADDR;
	for (int i = 0; i < PORT_PROBES; i++) {
		u32 index = first + (hash >> 16) % laddr_count;
		struct addr *laddr = laddrs.lookup(&index);
		int err;

		if (!laddr)
			return DROP_NO_LADDR;
		reply->daddr = *laddr;
		reply->dport = bpf_htons(machine->port_min + hash % span);
		err = sessions.insert(reply, session);
		if (!err)
			return DROP_NONE;
		if (err != -EEXIST)
			return DROP_TABLE_FULL;
		count(EVENT_PORT_PROBE);
		hash = bpf_get_prandom_u32();
	}
	return DROP_PORTS_EXHAUSTED;
}

/* Returns room for a session that is about to be opened, all zero. */
static __always_inline struct session *session_blank(void)
{
	struct scratch *room;
	u32 zero = 0;

	room = scratch.lookup(&zero);
	if (!room)
		return 0;
	__builtin_memset(&room->session, 0, sizeof(room->session));
	return &room->session;
}

static __always_inline void account_session(u32 index)
{
	struct account *account = accounts.lookup(&index);

	if (account)
		account->sessions += 1;
}

/* Opens a session for the packet's flow. `session` says its account and target. `reply` holds the
 * remote end (saddr, sport), vni and proto, and receives the claimed local end. Returns enum
 * drop_reason; on DROP_NONE both entries exist. Not counted as seen: the caller touches the session
 * that it finds next. */
static __always_inline int session_open(const struct packet *pkt, struct flow *reply,
					const struct machine *machine, struct session *session)
{
	int reason;
	int err;

	session->created_ns = session->last_seen_ns = coarse_ns();
	session->tunnel_sport = tunnel_sport(&pkt->flow);
	session->direction = DIRECTION_REPLY;
	session->peer = pkt->flow;
	reason = claim_port(&pkt->flow, reply, machine, session);
	if (reason != DROP_NONE)
		return reason;
	session->direction = DIRECTION_FORWARD;
	session->peer = *reply;
	err = sessions.insert((struct flow *)&pkt->flow, session);
	if (err)
		sessions.delete(reply);
	if (err && err != -EEXIST)
		return DROP_TABLE_FULL;
	/* -EEXIST: the same SYN on another CPU was first; its session serves this packet too. */
	if (!err) {
		count(EVENT_SESSION_NEW);
		account_session(session->account);
	}
	return DROP_NONE;
}

#endif
