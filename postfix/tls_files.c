/*
 * tls_files.c - makes and reads PEM files with OpenSSL.
 *
 * SPDX-License-Identifier: ISC
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/span.h"
#include "postfix/tls_files.h"

#define CERTIFICATE_DAYS	36525
#define SERIAL_BITS		159		/* RFC 5280 4.1.2.2: at most 20 octets, positive */

static bool
reason(struct err *e)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof text);
	return err_perm(e, "%s", text);
}

EVP_PKEY *
key_generate(const char *algorithm, const char *bits, struct err *e)
{
	uint64_t size = 0;
	EVP_PKEY *key;

	if (strcmp(algorithm, "ecdsa") == 0)
		key = EVP_EC_gen(strcmp(bits, "secp256r1") == 0 ? "prime256v1" : bits);	/* two names of one curve */
	else if (span_to_u64(span_str(bits), &size) && size <= 65536)
		key = EVP_RSA_gen((unsigned)size);
	else
		return (void)err_perm(e, "bad number of bits: %s", bits), NULL;
	if (key == NULL)
		(void)reason(e);
	return key;
}

EVP_PKEY *
key_read(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *key;

	if (f == NULL)
		return NULL;
	key = PEM_read_PrivateKey(f, NULL, NULL, "");
	(void)fclose(f);
	return key;
}

bool
key_is(const EVP_PKEY *key, const char *algorithm)
{
	return EVP_PKEY_is_a(key, strcmp(algorithm, "ecdsa") == 0 ? "EC" : "RSA") == 1;
}

void
key_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

static FILE *
create(const char *path, mode_t mode)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL && fd >= 0)
		(void)close(fd);
	return f;
}

/* Durable, or not there. */
static bool
finish(FILE *f, const char *path, bool ok)
{
	int why = 0;

	ok = ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
	if (!ok)
		why = errno != 0 ? errno : EIO;
	if (fclose(f) != 0 && ok) {
		ok = false;
		why = errno;
	}
	if (!ok) {
		(void)unlink(path);
		errno = why;
	}
	return ok;
}

/* Elliptic curves in the form of "openssl ecparam", their own. */
static bool
write_key(EVP_PKEY *key, FILE *f)
{
	BIO *out;
	bool ok;

	if (!key_is(key, "ecdsa"))
		return PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	out = BIO_new_fp(f, BIO_NOCLOSE);
	ok = out != NULL && PEM_write_bio_Parameters(out, key) == 1 &&
	    PEM_write_bio_PrivateKey_traditional(out, key, NULL, NULL, 0, NULL, NULL) == 1;
	BIO_free(out);
	return ok;
}

bool
key_write(EVP_PKEY *key, const char *path)
{
	FILE *f = create(path, 0600);

	return f != NULL && finish(f, path, write_key(key, f));
}

/* "DNS:a,DNS:b" */
static void
alternative_names(char *const hosts[], struct buf *out)
{
	for (size_t i = 0; hosts[i] != NULL; i++)
		buf_printf(out, "%sDNS:%s", i > 0 ? "," : "", hosts[i]);
}

static bool
add_extension(STACK_OF(X509_EXTENSION) **list, X509V3_CTX *context, int nid, const char *value)
{
	X509_EXTENSION *one = X509V3_EXT_conf_nid(NULL, context, nid, value);
	const bool ok = one != NULL && X509v3_add_ext(list, one, -1) != NULL;

	X509_EXTENSION_free(one);
	return ok;
}

/* What both certificates and requests ask for. */
static STACK_OF(X509_EXTENSION) *
extensions(X509V3_CTX *context, bool authority, char *const hosts[])
{
	STACK_OF(X509_EXTENSION) *list = NULL;
	struct buf names = {0};
	bool ok;

	alternative_names(hosts, &names);
	ok = !authority || add_extension(&list, context, NID_basic_constraints, "CA:FALSE");
	ok = ok && add_extension(&list, context, NID_subject_key_identifier, "hash");
	ok = ok && add_extension(&list, context, NID_ext_key_usage, "serverAuth,clientAuth");
	ok = ok && add_extension(&list, context, NID_subject_alt_name, buf_cstr(&names));
	buf_free(&names);
	if (!ok) {
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
		list = NULL;
	}
	return list;
}

static bool
set_serial(X509 *certificate)
{
	BIGNUM *number = BN_new();
	const bool ok = number != NULL && BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;

	BN_free(number);
	return ok;
}

static bool
set_names(X509 *certificate, const char *host)
{
	X509_NAME *name = X509_get_subject_name(certificate);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)host, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(certificate, name) == 1;
}

static bool
set_extensions(X509 *certificate, char *const hosts[])
{
	STACK_OF(X509_EXTENSION) *list;
	X509V3_CTX context;
	bool ok;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	list = extensions(&context, true, hosts);
	ok = list != NULL;
	for (int i = 0; ok && i < sk_X509_EXTENSION_num(list); i++)
		ok = X509_add_ext(certificate, sk_X509_EXTENSION_value(list, i), -1) == 1;
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return ok;
}

static X509 *
self_signed(EVP_PKEY *key, char *const hosts[])
{
	X509 *certificate = X509_new();

	if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_DAYS, 0, NULL) != NULL &&
	    set_names(certificate, hosts[0]) && X509_set_pubkey(certificate, key) == 1 && set_extensions(certificate, hosts) &&
	    X509_sign(certificate, key, EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

bool
certificate_write(EVP_PKEY *key, char *const hosts[], const char *path)
{
	X509 *certificate = self_signed(key, hosts);
	FILE *f = certificate != NULL ? create(path, 0644) : NULL;
	const bool ok = f != NULL && finish(f, path, PEM_write_X509(f, certificate) == 1);

	X509_free(certificate);
	return ok;
}

/* The subject is empty: names are in the alternative names, as authorities want them. */
bool
request_print(EVP_PKEY *key, char *const hosts[], FILE *out)
{
	X509_REQ *request = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *list = NULL;
	X509V3_CTX context;
	bool ok = request != NULL && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(request, key) == 1;

	X509V3_set_ctx(&context, NULL, NULL, request, NULL, 0);
	ok = ok && (list = extensions(&context, false, hosts)) != NULL && X509_REQ_add_extensions(request, list) == 1;
	ok = ok && X509_REQ_sign(request, key, EVP_sha256()) > 0 && PEM_write_X509_REQ(out, request) == 1;
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	X509_REQ_free(request);
	return ok;
}

bool
key_digest(EVP_PKEY *key, char hex[65])
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	const int n = i2d_PUBKEY(key, &der);
	unsigned length = 0;
	const bool ok = n > 0 && EVP_Digest(der, (size_t)n, digest, &length, EVP_sha256(), NULL) == 1 && length == 32;

	OPENSSL_free(der);
	for (unsigned i = 0; ok && i < length; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return ok;
}

enum pair
certificate_matches(const char *path, EVP_PKEY *key)
{
	FILE *f = fopen(path, "re");
	X509 *certificate = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	enum pair result = PAIR_NO_CERTIFICATE;

	if (f != NULL)
		(void)fclose(f);
	if (certificate != NULL)
		result = X509_check_private_key(certificate, key) == 1 ? PAIR_GOOD : PAIR_DIFFERS;
	X509_free(certificate);
	return result;
}
