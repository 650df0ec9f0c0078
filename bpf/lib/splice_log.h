/* splice_log.h: what the access log is told of requests that the kernel carries.
 *
 * One record a request: its head, and what became of the request before it, which is over when the
 * next is let through. So nothing of a head is kept here. The last one's figures come with the end
 * of the splice; userspace/spliced takes those of one that stays silent from `splices`. */
#ifndef UNILB_SPLICE_LOG_H
#define UNILB_SPLICE_LOG_H

#include "guard.h"

/* Notes in the room what is known of the last request: before the next one takes its place. */
static __always_inline void request_note(u32 id, const struct splice *splice, struct head *head)
{
	struct spliced_request *told = &head->told;
	u32 end = splice->head;

	/* A body may have been cut short. */
	if (ahead(splice->end[UP], end) < 0)
		end = splice->end[UP];
	told->id = id;
	told->generation = splice->generation;
	told->number = splice->requests;
	told->account = splice->account;
	told->client_port = splice->client_port;
	told->server_port = splice->from[UP].dport;
	told->client = splice->client;
	told->server = splice->from[UP].daddr;
	told->revision = splice->revision;
	told->answered_ns = splice->answered_ns;
	told->begun_ns = splice->request_ns;
	told->up = end - splice->mark_seq;
	told->down = splice->bytes[DOWN] - splice->bytes_before;
	told->answer = splice->end[DOWN] - splice->asked_at - !!(splice->flags & SPLICE_FIN_DOWN);
	if (splice->kind == SPLICE_OPAQUE) {
		told->begun_ns = splice->created_ns;
		told->answered_ns = splice->last_seen_ns;
		told->up = splice->bytes[UP];
		told->answer = splice->bytes[DOWN];
	}
	told->first_us = splice->first_us;
	told->status = splice->status;
	told->flags = splice->flags;
	told->logged = splice->logged;
	told->kind = splice->kind;
	told->pad[0] = told->pad[1] = 0;
}

/* Tells it, with the first `len` bytes of the room, the next request's head; with none, that the
 * splice is `state` now. */
static __always_inline void request_tell(struct head *head, u64 len, u8 state)
{
	asm volatile("" : "+r"(len));
	if (len > HEAD_MAX)
		return;
	head->told.len = len;
	head->told.state = state;
	if (splice_requests.ringbuf_output(&head->told, sizeof(head->told) + len, BPF_RB_NO_WAKEUP))
		count(EVENT_SPLICE_UNLOGGED);
}

#endif
