//! A field of an event.

use crate::names;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Expr, Meta, Token, Type};

/// Attributes that stay where they are: what lints and documentation are told.
const KEPT: [&str; 7] = [
    "doc",
    "allow",
    "expect",
    "warn",
    "deny",
    "forbid",
    "deprecated",
];

/// A field.
pub(super) struct Field {
    pub(super) identifier: Ident,
    pub(super) name: String,
    kind: Type,
    form: Form,
}

/// How it is stored.
enum Form {
    /// As its type says.
    Own,
    /// As a number in base 16.
    Hex,
    /// As a number whose bits have names.
    Flags(Vec<Flag>),
}

/// A bit with a name, or several.
struct Flag {
    name: Ident,
    value: Expr,
}

impl Parse for Flag {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        let value = input.parse()?;
        Ok(Self { name, value })
    }
}

impl Field {
    /// Takes what is relay's away from a field, which has a name.
    pub(super) fn take(field: &mut syn::Field) -> syn::Result<Self> {
        let Some(identifier) = field.ident.clone() else {
            return Err(Error::new_spanned(field, "fields of events have names"));
        };
        let name = identifier.unraw().to_string();
        if !names::is_name(&name) || name.starts_with('_') {
            return Err(Error::new(
                identifier.span(),
                "readers take no such name: fields of events are called by ASCII letters, digits \
                 and `_`, which is not the first",
            ));
        }
        let mut form = Form::Own;
        for attribute in std::mem::take(&mut field.attrs) {
            match Form::of(&attribute)? {
                None => field.attrs.push(attribute),
                Some(said) => match form {
                    Form::Own => form = said,
                    Form::Hex | Form::Flags(_) => {
                        let message = "a field is either `#[hex]` or `#[flags(..)]`, once";
                        return Err(Error::new_spanned(attribute, message));
                    }
                },
            }
        }
        Ok(Self {
            identifier,
            name,
            kind: field.ty.clone(),
            form,
        })
    }

    /// The expression of its kind.
    pub(super) fn kind(&self, relay: &TokenStream) -> TokenStream {
        let Form::Flags(flags) = &self.form else {
            return self.of_value(relay, &quote!(KIND));
        };
        let relay = &self.at_type(relay);
        let own = &self.kind;
        let names = flags.iter().map(|flag| flag.name.unraw().to_string());
        let values = flags.iter().map(|flag| &flag.value);
        quote! {
            #relay::event::Kind::Flags(&#relay::event::EnumClass {
                stored: &<#own as #relay::__private::Bits>::BITS,
                values: const { &[#((#names, { let value: #own = #values; value as i128 })),*] },
            })
        }
    }

    /// The expression of its size, if all values have the same.
    pub(super) fn fixed_size(&self, relay: &TokenStream) -> TokenStream {
        self.of_value(relay, &quote!(SIZE))
    }

    /// The expression of this value's size.
    pub(super) fn size(&self, relay: &TokenStream) -> TokenStream {
        let value = self.value(relay);
        let size = self.of_value(relay, &quote!(size));
        quote!(#size(#value))
    }

    /// The expression that stores it.
    pub(super) fn store(&self, relay: &TokenStream) -> TokenStream {
        let value = self.value(relay);
        let store = self.of_value(relay, &quote!(store));
        quote!(#store(#value, fields))
    }

    /// A part of `Value` for the type that it is stored as.
    fn of_value(&self, relay: &TokenStream, part: &TokenStream) -> TokenStream {
        let relay = self.at_type(relay);
        let own = &self.kind;
        let place = own.span().resolved_at(Span::call_site());
        match self.form {
            Form::Own | Form::Flags(_) => {
                quote_spanned!(place=> <#own as #relay::event::Value>::#part)
            }
            Form::Hex => {
                quote_spanned!(place=> <#relay::event::Hex<#own> as #relay::event::Value>::#part)
            }
        }
    }

    /// Tokens as if they stood where its type stands: there it is told that a type is no field.
    /// Their names stay those of where they come from.
    fn at_type(&self, tokens: &TokenStream) -> TokenStream {
        let place = self.kind.span();
        let tokens = tokens.clone().into_iter().map(|mut token| {
            token.set_span(place.resolved_at(token.span()));
            token
        });
        tokens.collect()
    }

    /// A reference to what is stored.
    fn value(&self, relay: &TokenStream) -> TokenStream {
        let identifier = &self.identifier;
        match self.form {
            Form::Own | Form::Flags(_) => quote!(&self.#identifier),
            Form::Hex => quote!(&#relay::event::Hex(self.#identifier)),
        }
    }
}

impl Form {
    /// What an attribute says of the form; `None` if it says something else that may stay.
    fn of(attribute: &Attribute) -> syn::Result<Option<Self>> {
        let path = attribute.path();
        if path.is_ident("hex") {
            return match &attribute.meta {
                Meta::Path(_) => Ok(Some(Self::Hex)),
                _ => Err(Error::new_spanned(attribute, "`#[hex]` stands alone")),
            };
        }
        if path.is_ident("flags") {
            let flags =
                attribute.parse_args_with(Punctuated::<Flag, Token![,]>::parse_terminated)?;
            let flags: Vec<_> = flags.into_iter().collect();
            if flags.is_empty() {
                let message = "no flags: `#[flags(READ = 1, WRITE = 2)]`";
                return Err(Error::new_spanned(attribute, message));
            }
            for (number, flag) in flags.iter().enumerate() {
                if flags[..number]
                    .iter()
                    .any(|earlier| earlier.name == flag.name)
                {
                    let message = format!("there is a flag `{}` already", flag.name);
                    return Err(Error::new(flag.name.span(), message));
                }
            }
            return Ok(Some(Self::Flags(flags)));
        }
        if KEPT.iter().any(|kept| path.is_ident(kept)) {
            return Ok(None);
        }
        Err(Error::new(
            path.span(),
            "unknown attribute: a field of an event may have `#[hex]` or `#[flags(READ = 1, ..)]`, \
             documentation, and lints",
        ))
    }
}
