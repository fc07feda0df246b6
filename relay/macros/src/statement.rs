//! A statement that logs: its arguments are stored as they are, its text stands in the metadata.
//!
//! What it becomes, in outline:
//!
//! ```text
//! {
//!     static __RELAY_SITE: Site = ..;                  // severity, template, place; the switch
//!     if __RELAY_SITE.is_enabled() {
//!         match (&(e0), &(e1)) {                       // each argument once
//!             (a0, a1) => {
//!                 if HAS_REGISTRY {
//!                     match (form of a0, ..) {         // the value, or `format_args!` of it
//!                         (b0, b1) => {
//!                             an entry in the section of classes, by the types of b0 and b1
//!                             emit(&b0, &b1)
//!                         }
//!                     }
//!                 } else {
//!                     say(&__RELAY_SITE, format_args!("..", *a0, *a1));
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The last `format_args!` has the user's own literal, all that it captures as arguments, and names of arguments with the places of
//! what they stand for: what is wrong with the text, the compiler says there, as it does for
//! `println!`. It stands outside of the block with the entry, since items have no hygiene, and a
//! placeholder could name one.
//!
//! Which form an argument has, its type says, which the compiler alone knows: see
//! `relay/src/event/probe.rs`.

use crate::names;
use crate::template::{Given, Shown, Template};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use relay_text::parse::Style;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Expr, LitStr, Token};

/// What the macro was given.
pub(crate) struct Statement {
    /// The path of relay.
    relay: TokenStream,
    severity: Ident,
    /// What `format_args!` would be given.
    arguments: TokenStream,
}

/// What `format_args!` is given.
struct Arguments {
    format: LitStr,
    given: Vec<Argument>,
}

/// An argument behind a format string.
struct Argument {
    name: Option<Ident>,
    value: Expr,
}

impl Parse for Statement {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let relay = relay_path(input)?;
        Ok(Self {
            relay,
            severity: input.parse()?,
            arguments: input.parse()?,
        })
    }
}

/// Takes the path of relay, in brackets.
pub(crate) fn relay_path(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let content;
    syn::bracketed!(content in input);
    content.parse()
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let format = input.parse()?;
        let mut given = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let is_named = input.peek(Ident::peek_any)
                && input.peek2(Token![=])
                && !input.peek2(Token![==])
                && !input.peek2(Token![=>]);
            let name = match is_named {
                true => {
                    let name = input.call(Ident::parse_any)?;
                    input.parse::<Token![=]>()?;
                    Some(name)
                }
                false => None,
            };
            let value = input.parse()?;
            given.push(Argument { name, value });
        }
        Ok(Self { format, given })
    }
}

impl Argument {
    fn given(&self) -> Given {
        let name = self.name.as_ref();
        Given {
            name: name.map(|name| name.unraw().to_string()),
            hint: match name {
                Some(name) => names::field(name),
                None => names::of_expression(&self.value),
            },
        }
    }
}

/// A value that is shown.
struct Value {
    /// What stands for it.
    variable: Ident,
    /// What it is.
    expression: TokenStream,
}

impl Statement {
    /// What the statement becomes: an expression of type `()`.
    pub(crate) fn expand(&self) -> TokenStream {
        // What cannot be read as a format string with arguments is formatted as a whole: be it
        // right (`concat!("a", "b")`) or wrong, that is the compiler's to say.
        let read = syn::parse2::<Arguments>(self.arguments.clone()).ok();
        let expanded = read.and_then(|arguments| self.deferred(&arguments));
        expanded.unwrap_or_else(|| self.whole())
    }

    /// The statement with its arguments stored; `None` if its format string is wrong.
    fn deferred(&self, arguments: &Arguments) -> Option<TokenStream> {
        let given: Vec<_> = arguments.given.iter().map(Argument::given).collect();
        let template = Template::new(&arguments.format.value(), &given).ok()?;
        let place = arguments.format.span();
        let expressions = arguments.given.iter().map(|argument| {
            let value = &argument.value;
            (value.span(), quote!(#value))
        });
        let captured = template.captured.iter().map(|name| {
            let variable = names::variable(name, place);
            (place, quote!(#variable))
        });
        let values: Vec<_> = expressions
            .chain(captured)
            .enumerate()
            .map(|(number, (span, expression))| Value {
                variable: format_ident!("a{number}", span = span.resolved_at(Span::mixed_site())),
                expression,
            })
            .collect();
        let named = arguments.given.iter().map(|argument| argument.name.clone());
        let captured = template.captured.iter();
        let captured = captured.map(|name| Some(Ident::new(name, place)));
        let checked = named.chain(captured).zip(&values).map(|(name, value)| {
            let place = place_of(&value.variable);
            match name {
                Some(name) => quote!(#name = #place),
                None => place,
            }
        });
        let format = &arguments.format;
        let message = quote!(::core::format_args!(#format #(, #checked)*));
        Some(self.around(&template.text, &values, &template.fields, &message))
    }

    /// The statement formatted as a whole.
    fn whole(&self) -> TokenStream {
        let arguments = &self.arguments;
        let variable = Ident::new("message", Span::mixed_site());
        let relay = &self.relay;
        let site = self.site("{message}");
        let record = self.record(&[Field {
            name: "message".to_owned(),
            form: quote!(#relay::__private::InPlace(#variable)),
        }]);
        let tokens = quote_spanned! {Span::mixed_site()=>
            #site
            if __RELAY_SITE.is_enabled() {
                match ::core::format_args!(#arguments) {
                    #variable => if #relay::event::HAS_REGISTRY {
                        #record
                    } else {
                        #relay::__private::say(&__RELAY_SITE, #variable);
                    }
                }
            }
        };
        quote!({ #tokens })
    }

    /// Where the statement is, and its switch.
    fn site(&self, template: &str) -> TokenStream {
        let Self {
            relay, severity, ..
        } = self;
        quote_spanned! {Span::mixed_site()=>
            static __RELAY_SITE: #relay::event::Site = #relay::event::Site::statement(
                #relay::event::Severity::#severity,
                #template,
                #relay::event::Source {
                    module: ::core::module_path!(),
                    file: ::core::file!(),
                    line: ::core::line!(),
                },
            );
        }
    }

    /// All of the statement. `message` is its text, of the values' variables.
    fn around(
        &self,
        template: &str,
        values: &[Value],
        fields: &[Shown],
        message: &TokenStream,
    ) -> TokenStream {
        let relay = &self.relay;
        let site = self.site(template);
        let expressions = values.iter().map(|value| &value.expression);
        let variables = values.iter().map(|value| &value.variable);
        let fields: Vec<_> = fields
            .iter()
            .map(|field| Field {
                name: field.name.clone(),
                form: self.form(field, values),
            })
            .collect();
        let record = self.record(&fields);
        let tokens = quote_spanned! {Span::mixed_site()=>
            #site
            if __RELAY_SITE.is_enabled() {
                match (#(&(#expressions),)*) {
                    (#(#variables,)*) => if #relay::event::HAS_REGISTRY {
                        #record
                    } else {
                        #relay::__private::say(&__RELAY_SITE, #message);
                    }
                }
            }
        };
        quote!({ #tokens })
    }

    /// The value that is stored in a field.
    fn form(&self, field: &Shown, values: &[Value]) -> TokenStream {
        let relay = &self.relay;
        let variable = &values[field.value].variable;
        let Some(format) = &field.format else {
            // A count: the compiler sees to it that it is a `usize`.
            return quote!(#variable);
        };
        let value = self.shown(variable, of_style(format.style));
        let counts = format.counts.iter();
        let counts = counts.map(|count| self.shown(&values[*count].variable, "count"));
        let literal = LitStr::new(&format.literal, Span::mixed_site());
        let (probe, of_values) = match format.style {
            Style::Pointer => ("AddressProbe", "AddressOfValue"),
            _ => ("Probe", "FormOfValue"),
        };
        let probe = Ident::new(probe, Span::mixed_site());
        let of_values = Ident::new(of_values, Span::mixed_site());
        quote_spanned! {Span::mixed_site()=>
            {
                use #relay::__private::{FormOfText as _, #of_values as _};
                (&#relay::__private::#probe(#variable)).form()
            }.of(#variable, ::core::format_args!(#literal, #value #(, #counts)*))
        }
    }

    /// The place of an argument that has the trait of this module, or of something that has.
    fn shown(&self, variable: &Ident, module: &str) -> TokenStream {
        let relay = &self.relay;
        let module = Ident::new(module, Span::mixed_site());
        quote_spanned! {Span::mixed_site()=>
            *{
                use #relay::__private::#module::{OfOthers as _, OfValue as _};
                (&#relay::__private::Probe(#variable)).shown()
            }
        }
    }

    /// Writes the record.
    fn record(&self, fields: &[Field]) -> TokenStream {
        let relay = &self.relay;
        let numbers = 0..fields.len();
        let variables: Vec<_> = numbers
            .clone()
            .map(|number| format_ident!("b{number}", span = Span::mixed_site()))
            .collect();
        let types: Vec<_> = numbers
            .map(|number| format_ident!("T{number}", span = Span::mixed_site()))
            .collect();
        let names = fields.iter().map(|field| &field.name);
        let forms = fields.iter().map(|field| &field.form);
        quote_spanned! {Span::mixed_site()=>
            match (#(#forms,)*) {
                (#(#variables,)*) => {
                    fn __relay_class<#(#types: #relay::event::Value),*>()
                        -> #relay::event::EventClass
                    {
                        #relay::event::EventClass {
                            id: 0,
                            name: __RELAY_SITE.name(),
                            fields: const { &[
                                #(#relay::event::Field::new(
                                    #names,
                                    <#types as #relay::event::Value>::KIND,
                                )),*
                            ] },
                        }
                    }

                    #relay::__registered! { __RELAY_SITE __relay_id [#(#types),*] __relay_class }

                    #[inline(always)]
                    fn __relay_emit<#(#types: #relay::event::Value),*>(
                        (#(#variables,)*): (#(&#types,)*),
                    ) {
                        #relay::__private::send(
                            __relay_id::<#(#types),*>(),
                            const { #relay::__private::sum_of_statement(&[
                                #(<#types as #relay::event::Value>::SIZE),*
                            ]) },
                            |fields| {
                                let _ = &fields;
                                #(<#types as #relay::event::Value>::store(#variables, fields);)*
                            },
                        );
                    }

                    __relay_emit((#(&#variables,)*));
                }
            }
        }
    }
}

/// The module of `relay/src/event/shown.rs` for what has the trait of a style.
fn of_style(style: Style) -> &'static str {
    match style {
        Style::Display => "display",
        Style::Debug | Style::DebugLowerHex | Style::DebugUpperHex => "debug",
        Style::LowerHex => "lower_hex",
        Style::UpperHex => "upper_hex",
        Style::Octal => "octal",
        Style::Binary => "binary",
        Style::Pointer => "pointer",
        Style::LowerExp => "lower_exp",
        Style::UpperExp => "upper_exp",
    }
}

/// A field of the record: its name, and the value that is stored.
struct Field {
    name: String,
    form: TokenStream,
}

/// What a variable refers to: as a place it has the argument's own type.
fn place_of(variable: &Ident) -> TokenStream {
    quote_spanned!(variable.span()=> *#variable)
}
