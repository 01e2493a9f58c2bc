/**
 * How an Envoy calls endpoints in mutual TLS: by secrets that it asks of this center, under the names that Istio's
 * agents use for them (`ROOTCA` and `default`).
 */
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { metadataKeys, takesMutualTls } from '../../../contracts/endpoint.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { UpstreamTlsSpec } from '../../../contracts/policy-spec.ts'
import { spiffeScheme } from '../../../contracts/spiffe-id.ts'
import { adsSource } from './ads-source.ts'
import { given } from './translation.ts'

/** What a proxy shows: its chain and key. */
export const ownSecret = 'default'
/** What peers are checked against. */
export const rootsSecret = 'ROOTCA'

/** By these words of an endpoint a cluster chooses its transport, as in Istio. */
const matchKey = 'envoy.transport_socket_match'
const mutualMatch: Plain = { tlsMode: 'istio' }

type MutualTls = Extract<UpstreamTlsSpec, { mode: 'mutual' | 'simple' }>

/** Fields of a cluster. `isMeshed`: the proxy has an identity; without one nothing is said of TLS. */
export function transportOf(tls: UpstreamTlsSpec | undefined, isMeshed: boolean, isHttp2: boolean): Plain {
  if (!isMeshed || tls?.mode === 'disable' || tls?.mode === 'simple') return {}
  if (tls !== undefined) return { transport_socket: socket(tls, isHttp2) }
  const automatic = { sni: '', subjectAltNames: [] }
  return {
    transport_socket_matches: [{ name: 'mutual', match: mutualMatch, transport_socket: socket(automatic, isHttp2) }],
  }
}

/** Metadata of an endpoint for a cluster that chooses by it. */
export function matchOf(endpoint: Endpoint): Plain {
  return takesMutualTls(endpoint) ? { metadata: { filter_metadata: { [matchKey]: mutualMatch } } } : {}
}

/** Whether it can be called at all as the policy says. */
export function isWithinReach(endpoint: Endpoint, tls: UpstreamTlsSpec | undefined, isMeshed: boolean): boolean {
  if (endpoint.metadata[metadataKeys.mtls] !== 'strict') return true
  return isMeshed && (tls === undefined ? takesMutualTls(endpoint) : tls.mode === 'mutual')
}

function socket({ sni, subjectAltNames }: Pick<MutualTls, 'sni' | 'subjectAltNames'>, isHttp2: boolean): Plain {
  // as an agent: whoever our roots vouch for, if it has the name of a workload
  const names = subjectAltNames.length === 0 ? [`${spiffeScheme}*`] : subjectAltNames
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: given({
      '@type': 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: sni === '' ? undefined : sni,
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        alpn_protocols: [isHttp2 ? 'h2' : 'http/1.1'],
        tls_certificate_sds_secret_configs: [{ name: ownSecret, sds_config: adsSource }],
        combined_validation_context: {
          default_validation_context: { match_typed_subject_alt_names: names.map(nameMatch) },
          validation_context_sds_secret_config: { name: rootsSecret, sds_config: adsSource },
        },
      },
    }),
  }
}

function nameMatch(name: string): Plain {
  return {
    san_type: 'URI',
    matcher: name.endsWith('*') ? { prefix: name.slice(0, -1) } : { exact: name },
  }
}
