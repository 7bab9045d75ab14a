import type { Child } from "hono/jsx";
import { LIMIT_RANGES, MEMORY_MIB, type Range } from "../../jobs/limits.ts";
import { visible } from "./format.ts";

/** What the form holds; every field is text, as forms are. */
export interface JobForm {
  readonly fixture: string;
  /** Hashes of files that are stored already. */
  readonly kernelSha256: string;
  readonly initrdSha256: string;
  readonly name: string;
  readonly cmdline: string;
  readonly memory: string;
  readonly mode: string;
  readonly cpu: string;
  readonly pass: string;
  readonly fail: string;
  readonly guestSeconds: string;
  readonly instructions: string;
  readonly labels: string;
  readonly visibility: string;
  readonly more: string;
}

export const EMPTY_FORM: JobForm = {
  fixture: "",
  kernelSha256: "",
  initrdSha256: "",
  name: "",
  cmdline: "",
  memory: "",
  mode: "",
  cpu: "",
  pass: "",
  fail: "",
  guestSeconds: "",
  instructions: "",
  labels: "",
  visibility: "",
  more: "",
};

/** Names of the form's fields that hold text. */
export const FORM_FIELDS = Object.keys(EMPTY_FORM) as readonly (keyof JobForm)[];

export interface NewJobProps {
  readonly form: JobForm;
  readonly fixtures: readonly string[];
  readonly problem?: string | undefined;
}

export function NewJob({ form, fixtures, problem }: NewJobProps) {
  const { guestSeconds, instructions } = LIMIT_RANGES;
  return (
    <>
      <h1>New job</h1>
      {problem !== undefined && (
        <p class="error" role="alert" id="problem">
          {visible(problem)}
        </p>
      )}
      <form class="form" method="post" action="/new" enctype="multipart/form-data">
        <fieldset>
          <legend>Guest</legend>
          <Field name="fixture" label="A guest that is stored here">
            <select id="fixture" name="fixture">
              <option value="">none: a kernel of my own</option>
              {fixtures.map((name) => (
                <option value={name} selected={name === form.fixture}>
                  {name}
                </option>
              ))}
            </select>
          </Field>
          <div class="row">
            <Field name="kernel" label="Or a kernel to send (ELF or bzImage)">
              <input id="kernel" name="kernel" type="file" />
            </Field>
            <Field name="initrd" label="Initrd">
              <input id="initrd" name="initrd" type="file" />
            </Field>
          </div>
          <details open={form.kernelSha256 !== ""}>
            <summary>Files that were sent before</summary>
            <TextField name="kernelSha256" label="SHA-256 of the kernel" form={form} />
            <TextField name="initrdSha256" label="SHA-256 of the initrd" form={form} />
          </details>
        </fieldset>
        <fieldset>
          <legend>How it is booted</legend>
          <TextField name="cmdline" label="Command line" form={form} placeholder="console=hvc0" />
          <div class="row">
            <NumberField name="memory" label="Memory, MiB" form={form} range={MEMORY_MIB} />
            <Field name="mode" label="Mode">
              <select id="mode" name="mode">
                <option value="">default (pv)</option>
                {["pv", "pvh", "hvm"].map((mode) => (
                  <option value={mode} selected={mode === form.mode}>
                    {mode}
                  </option>
                ))}
              </select>
            </Field>
            <TextField name="cpu" label="Processor" form={form} placeholder="v2" />
          </div>
        </fieldset>
        <fieldset>
          <legend>What is expected</legend>
          <AreaField
            name="pass"
            label="Patterns that must appear, one a line"
            form={form}
            placeholder="login:"
          />
          <AreaField
            name="fail"
            label="Patterns that must not appear, one a line"
            form={form}
            placeholder="BUG:"
          />
          <div class="row">
            <NumberField
              name="guestSeconds"
              label="Guest time at most, seconds"
              form={form}
              range={guestSeconds}
              step="any"
            />
            <NumberField name="instructions" label="Instructions at most" form={form} range={instructions} />
          </div>
        </fieldset>
        <fieldset>
          <legend>What it is about</legend>
          <TextField name="name" label="Name" form={form} placeholder="my kernel" />
          <AreaField
            name="labels"
            label="Labels, one a line: jobs with the same ones are compared"
            form={form}
            placeholder="branch=main"
          />
          <Field name="visibility" label="Who may see it">
            <select id="visibility" name="visibility">
              <option value="">only this token</option>
              <option value="public" selected={form.visibility === "public"}>
                everybody
              </option>
            </select>
          </Field>
          <details open={form.more !== ""}>
            <summary>More of the configuration</summary>
            <AreaField
              name="more"
              label="Other fields as JSON; see the API's documentation"
              form={form}
              placeholder={'{"seed": 2}'}
            />
          </details>
        </fieldset>
        <p>
          <button type="submit" class="primary">
            Boot it
          </button>
        </p>
      </form>
    </>
  );
}

/** A label, and below it what it is about, whose id is `name`. */
function Field(props: { readonly name: string; readonly label: string; readonly children?: Child }) {
  const { name, label, children } = props;
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {children}
    </div>
  );
}

interface FieldProps {
  readonly name: keyof JobForm;
  readonly label: string;
  readonly form: JobForm;
  readonly placeholder?: string;
}

function TextField({ name, label, form, placeholder }: FieldProps) {
  return (
    <Field name={name} label={label}>
      <input
        id={name}
        name={name}
        value={form[name]}
        placeholder={placeholder ?? ""}
        autocomplete="off"
        spellcheck={false}
      />
    </Field>
  );
}

/** Empty is the default. Without `step` a whole number. */
function NumberField(
  props: Omit<FieldProps, "placeholder"> & { readonly range: Range; readonly step?: "any" },
) {
  const { name, label, form, range, step } = props;
  return (
    <Field name={name} label={label}>
      <input
        id={name}
        name={name}
        type="number"
        {...(step !== undefined && { step })}
        min={range.min}
        max={range.max}
        placeholder={String(range.default)}
        value={form[name]}
      />
    </Field>
  );
}

function AreaField({ name, label, form, placeholder }: FieldProps) {
  return (
    <Field name={name} label={label}>
      <textarea id={name} name={name} rows={2} placeholder={placeholder ?? ""} spellcheck={false}>
        {form[name]}
      </textarea>
    </Field>
  );
}
