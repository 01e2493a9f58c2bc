/**
 * Istio's `istio.v1.auth.IstioCertificateService/CreateCertificate`, so that its agents (and ztunnel) can be certified
 * here: one message in, one out, as gRPC over HTTP/2. The caller is known by the certificate that it shows; a renewal
 * needs nothing else.
 *
 *     request  { string csr = 1; int64 validity_duration = 3 (seconds); Struct metadata = 4 (not read) }
 *     response { repeated string cert_chain = 1 }: the leaf, its intermediates, the roots
 */
import { MeshError } from '../../contracts/errors.ts'
import { grpcFrame, onlyGrpcMessage } from '../../contracts/grpc-wire.ts'
import { protoBytes, protoFields } from '../../contracts/proto-fields.ts'
import type { Caller, CertificateService } from './certificate-service.ts'
import { pemBlocks } from './x509/pem.ts'

export const createCertificatePath = '/istio.v1.auth.IstioCertificateService/CreateCertificate'

/** Of the gRPC status page (grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const grpcStatus = { ok: 0, invalid: 3, denied: 7, unimplemented: 12, internal: 13 } as const

export interface GrpcReply {
  readonly status: number
  readonly message: string
  /** One framed message; empty unless the status is 0. */
  readonly body: Buffer
}

/** Never rejects. */
export async function createCertificate(service: CertificateService, caller: Caller, body: Buffer): Promise<GrpcReply> {
  const request = readRequest(body)
  if (request === undefined) return failure(grpcStatus.invalid, 'not one uncompressed IstioCertificateRequest')
  try {
    const { csr, lifetimeMs } = request
    const { chain, trustBundle } = await service.certify(caller, csr, { lifetimeMs })
    const blocks = pemBlocks(chain + trustBundle, 'CERTIFICATE')
    const answer = grpcFrame(Buffer.concat(blocks.map((pem) => protoBytes(1, pem))))
    return { status: grpcStatus.ok, message: '', body: answer }
  } catch (error) {
    if (error instanceof MeshError && error.code === 'E_CA_REFUSED') return failure(grpcStatus.denied, error.message)
    return failure(grpcStatus.internal, 'the authority cannot answer now; its log says why')
  }
}

function readRequest(body: Buffer): { csr: string; lifetimeMs: number | undefined } | undefined {
  const message = onlyGrpcMessage(body)
  if (message === undefined) return undefined
  let csr = ''
  let seconds = 0
  try {
    for (const { number, value, bytes } of protoFields(message)) {
      if (number === 1) csr = bytes.toString('latin1')
      else if (number === 3) seconds = value
    }
  } catch {
    return undefined
  }
  // a negative int64 reads as a huge number here: no bound, as 0
  return { csr, lifetimeMs: seconds > 0 && seconds < 2 ** 31 ? seconds * 1000 : undefined }
}

function failure(status: number, message: string): GrpcReply {
  return { status, message, body: Buffer.alloc(0) }
}
