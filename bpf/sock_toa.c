/* sock_toa.c: TOA without a kernel module. Attached to the gateway's cgroup.
 *
 * toa_read keeps, on each accepted socket, the client address that the L4 tier wrote into the
 * handshake; toa_peername and toa_peername6 answer getpeername() and accept() with it, so the
 * workers need no special call. No program of these can be run by BPF_PROG_TEST_RUN: they stay
 * small and are tested with real sockets. */
#include "toa.h"

#define TCP_MAX_LEN 60

/* clang joins two loads or stores of a context's words into one of eight bytes, which the verifier
 * refuses. */
#define APART() asm volatile("" ::: "memory")

BPF_SK_STORAGE(clients, struct client);

/* Returns the offset of the TOA option of `kind` in the TCP header, or 0. Either length will do. */
static __always_inline u32 toa_find(void *data, void *data_end, u8 kind)
{
	u32 at = TCP_MIN_LEN;

	/* Not bpf_load_hdr_opt(): for kinds 253 and 254 it demands an experiment's magic where TOA
	 * has the port. */
	for (int i = 0; i < TCP_MAX_LEN - TCP_MIN_LEN; i++) {
		u8 *option = data + at;

		if (at > TCP_MAX_LEN - TOA_LEN || (void *)(option + TOA_LEN) > data_end)
			return 0;
		if (option[0] == kind && (option[1] == TOA_LEN || option[1] == TOA6_LEN))
			return at;
		if (option[0] == 0)
			return 0;
		/* A NOP's step is its own kind, read anew: a constant would be a path of its own to
		 * the verifier, in each iteration one more. */
		if (option[0] == 1)
			at += *(volatile u8 *)option;
		else if (option[1] >= 2)
			at += *(volatile u8 *)(option + 1);
		else
			return 0;
	}
	return 0;
}

/* Reads the option at `at` into `client`. Returns whether it was all there. */
static __always_inline int toa_client(void *data, void *data_end, u32 at, struct client *client)
{
	struct toa_option *toa = data + at;

	if (at > TCP_MAX_LEN - TOA_LEN || (void *)toa + TOA_LEN > data_end)
		return 0;
	client->port = toa->port;
	client->addr = addr_from_v4(toa->addr[0]);
	if (toa->len == TOA_LEN)
		return 1;
	if (at > TCP_MAX_LEN - TOA6_LEN || (void *)toa + TOA6_LEN > data_end)
		return 0;
	__builtin_memcpy(&client->addr, toa->addr, 16);
	return 1;
}

int toa_read(struct bpf_sock_ops *ops)
{
	struct client found = {}, *client;
	struct bpf_sock *sk = ops->sk;
	struct addr source = {};
	struct machine *self;
	u32 *words = (u32 *)source.bytes;
	u32 zero = 0, at;

	if (ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !sk)
		return 1;
	self = machine.lookup(&zero);
	if (!self)
		return 1;
	at = toa_find(ops->skb_data, ops->skb_data_end, self->toa_kind);
	if (!at || !toa_client(ops->skb_data, ops->skb_data_end, at, &found))
		return 1;
	if (ops->family == 2) {
		source = addr_from_v4(ops->remote_ip4);
	} else { /* of a dual-stack socket's IPv4 connection it is the mapped address */
		words[0] = ops->remote_ip6[0];
		APART();
		words[1] = ops->remote_ip6[1];
		APART();
		words[2] = ops->remote_ip6[2];
		APART();
		words[3] = ops->remote_ip6[3];
	}
	if (!toa_trusted.lookup(&source)) {
		count(EVENT_TOA_UNTRUSTED);
		return 1;
	}
	client = clients.sk_storage_get(sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!client)
		return 1;
	*client = found;
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
	if (!client || !addr_is_v4(&client->addr))
		return 1; /* an IPv4 socket cannot name an IPv6 client */
	ctx->user_ip4 = v4_from_addr(&client->addr);
	ctx->user_port = client->port;
	return 1;
}

int toa_peername6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct client *client;
	const u32 *words;

	if (!sk)
		return 1;
	client = clients.sk_storage_get(sk, 0, 0);
	if (!client)
		return 1;
	words = (const u32 *)client->addr.bytes;
	ctx->user_ip6[0] = words[0];
	APART();
	ctx->user_ip6[1] = words[1];
	APART();
	ctx->user_ip6[2] = words[2];
	APART();
	ctx->user_ip6[3] = words[3];
	ctx->user_port = client->port;
	return 1;
}
