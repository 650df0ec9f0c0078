/* sock_toa.c: TOA without a kernel module. Attached to the gateway's cgroup.
 *
 * toa_read keeps, on each accepted socket, the client address that the L4 tier wrote into the
 * handshake; toa_peername answers getpeername() and accept() with it, so the workers need no
 * special call. Neither program can be run by BPF_PROG_TEST_RUN: they stay small and are tested
 * with real sockets. */
#include "toa.h"

#define TCP_MAX_LEN 60

BPF_SK_STORAGE(clients, struct client);

/* Returns the offset of the TOA option of `kind` in the TCP header, or 0. */
static __always_inline u32 toa_find(void *data, void *data_end, u8 kind)
{
	u32 at = TCP_MIN_LEN;

	/* Not bpf_load_hdr_opt(): for kinds 253 and 254 it demands an experiment's magic where TOA
	 * has the port. */
	for (int i = 0; i < TCP_MAX_LEN - TCP_MIN_LEN; i++) {
		u8 *option = data + at;

		if (at > TCP_MAX_LEN - TOA_LEN || (void *)(option + TOA_LEN) > data_end)
			return 0;
		if (option[0] == kind && option[1] == TOA_LEN)
			return at;
		if (option[0] == 0)
			return 0;
		if (option[0] == 1) {
			at += 1;
			continue;
		}
		if (option[1] < 2)
			return 0;
		at += option[1];
	}
	return 0;
}

int toa_read(struct bpf_sock_ops *ops)
{
	struct machine *self;
	struct bpf_sock *sk = ops->sk;
	struct toa_option *toa;
	struct client *client;
	struct addr source;
	u32 zero = 0, at;

	if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || ops->family != 2 || !sk)
		return 1;
	self = machine.lookup(&zero);
	if (!self)
		return 1;
	at = toa_find(ops->skb_data, ops->skb_data_end, self->toa_kind);
	if (!at || at > TCP_MAX_LEN - TOA_LEN)
		return 1;
	source = addr_from_v4(ops->remote_ip4);
	if (!toa_trusted.lookup(&source)) {
		count(EVENT_TOA_UNTRUSTED);
		return 1;
	}
	toa = ops->skb_data + at;
	if ((void *)(toa + 1) > ops->skb_data_end)
		return 1;
	client = clients.sk_storage_get(sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!client)
		return 1;
	client->addr = addr_from_v4(toa->addr);
	client->port = toa->port;
	count(EVENT_TOA_READ);
	return 1;
}

int toa_peername(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct client *client;

	if (!sk)
		return 1;
	client = clients.sk_storage_get(sk, 0, 0);
	if (!client)
		return 1;
	ctx->user_ip4 = v4_from_addr(&client->addr);
	ctx->user_port = client->port;
	return 1;
}
