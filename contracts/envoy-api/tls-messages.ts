/** SDS, and the transport sockets that use it. Source: envoy api, extensions/transport_sockets/tls/v3. */
import type { MessageForms } from './message-form.ts'

export const tlsMessages: MessageForms = {
  of: 'envoy.extensions.transport_sockets.tls.v3',
  messages: {
    UpstreamTlsContext: { common_tls_context: '1 CommonTlsContext', sni: '2 string' },
    CommonTlsContext: {
      tls_params: '1 TlsParameters',
      alpn_protocols: '4 [string]',
      tls_certificate_sds_secret_configs: '6 [SdsSecretConfig]',
      combined_validation_context: '8 CommonTlsContext.CombinedCertificateValidationContext',
    },
    TlsParameters: { tls_minimum_protocol_version: '1 TlsProtocol', tls_maximum_protocol_version: '2 TlsProtocol' },
    'CommonTlsContext.CombinedCertificateValidationContext': {
      default_validation_context: '1 CertificateValidationContext',
      validation_context_sds_secret_config: '2 SdsSecretConfig',
    },
    SdsSecretConfig: { name: '1 string', sds_config: '2 ConfigSource' },
    Secret: {
      name: '1 string',
      tls_certificate: '2 TlsCertificate',
      validation_context: '4 CertificateValidationContext',
    },
    TlsCertificate: { certificate_chain: '1 DataSource', private_key: '2 DataSource' },
    CertificateValidationContext: {
      trusted_ca: '1 DataSource',
      match_typed_subject_alt_names: '15 [SubjectAltNameMatcher]',
    },
    SubjectAltNameMatcher: { san_type: '1 SanType', matcher: '2 StringMatcher' },
  },
  enums: {
    TlsProtocol: { TLS_AUTO: 0, TLSv1_2: 3, TLSv1_3: 4 },
    SanType: { SAN_TYPE_UNSPECIFIED: 0, EMAIL: 1, DNS: 2, URI: 3, IP_ADDRESS: 4 },
  },
}
