import { Validator } from '@seriousme/openapi-schema-validator'
import { expect } from 'chai'
import { apiKinds } from '../../../../../agent/control/rules-api/api-kinds.ts'
import { openApiDocument, openApiRoot } from '../../../../../agent/control/rules-api/openapi.ts'

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, object>>
  readonly components: { readonly schemas: Readonly<Record<string, { properties: { spec: { properties: object } } }>> }
}

async function problems(document: object): Promise<unknown> {
  const result = await new Validator().validate(structuredClone(document) as Parameters<Validator['validate']>[0])
  return result.valid ? [] : result.errors
}

describe('the OpenAPI document of the rules API', () => {
  it('is valid OpenAPI 3.1, with every kind in every version', async () => {
    const document = openApiDocument(undefined, '1.2.3') as Document
    expect(document.openapi).to.equal('3.1.0')
    expect(await problems(document)).to.deep.equal([])
    for (const { group, versions, plural } of apiKinds)
      for (const version of versions) expect(document.paths).to.have.property(`/apis/${group}/${version}/${plural}`)
  })

  it('has the kinds at the paths of Istio, of the Gateway API and of ours', () => {
    const { paths } = openApiDocument(undefined, '1.2.3') as Document
    const ofIstio = 'networking.istio.io/v1'
    for (const path of [
      `${ofIstio}/virtualservices`,
      `${ofIstio}/destinationrules`,
      `${ofIstio}/serviceentries`,
      `${ofIstio}/workloadentries`,
      `${ofIstio}/gateways`,
      'security.istio.io/v1/peerauthentications',
      'security.istio.io/v1/requestauthentications',
      'security.istio.io/v1/authorizationpolicies',
      'gateway.networking.k8s.io/v1/httproutes',
      'gateway.networking.k8s.io/v1/grpcroutes',
      'gateway.networking.k8s.io/v1alpha2/tcproutes',
      'hostmesh.io/v1/meshpolicies',
    ])
      expect(paths).to.have.property(`/apis/${path}`)
    expect(apiKinds).to.have.length(12)
  })

  it('is valid OpenAPI 3.0 for each group and version, as clients of Kubernetes read it', async () => {
    const { paths } = openApiRoot() as { paths: Record<string, unknown> }
    for (const path of Object.keys(paths)) {
      const [, group, version] = path.split('/')
      const document = openApiDocument({ group: group!, version: version! }, '1.2.3')
      expect(await problems(document!), path).to.deep.equal([])
    }
    expect(openApiDocument({ group: 'apps', version: 'v1' }, '1.2.3')).to.equal(undefined)
  })

  it('says of fields what they allow, and nothing of fields that are refused whatever they hold', () => {
    const { schemas } = (openApiDocument(undefined, '1') as Document).components
    const { spec } = schemas['io.istio.networking.v1.VirtualService']!.properties
    expect(spec.properties).to.include.keys('hosts', 'http', 'tcp')
    const rule = schemas['io.istio.networking.v1.DestinationRule']!.properties.spec.properties
    expect(rule).to.include.keys('host', 'trafficPolicy')
    expect(rule).to.not.include.keys('workloadSelector')
    expect(JSON.stringify(spec)).to.contain('a duration from 1ms to 576h')
  })
})
