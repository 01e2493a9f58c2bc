/**
 * The bill of materials: npm's own CycloneDX list of what a release contains, without what differs from run to run or
 * names a registry.
 */
import { createHash } from 'node:crypto'
import { type Release, run } from './staging.ts'

interface Bill {
  serialNumber?: string
  metadata: { timestamp?: string; component: object }
  components: { type?: string; externalReferences?: { type: string }[] }[]
}

export function billOfMaterials(release: Release): string {
  const words = ['sbom', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application']
  const bill = JSON.parse(run('npm', words)) as Bill
  for (const component of bill.components)
    component.externalReferences = component.externalReferences?.filter(({ type }) => type !== 'distribution') ?? []
  bill.metadata.timestamp = new Date(release.time * 1000).toISOString()
  delete bill.serialNumber
  const digest = createHash('sha256').update(JSON.stringify(bill)).digest('hex')
  bill.serialNumber = `urn:uuid:${digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-5$3-8$4-$5')}`
  return `${JSON.stringify(bill, undefined, 2)}\n`
}
